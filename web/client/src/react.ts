// The client in React: each hook shows a store and draws again when it changed.

import { useSyncExternalStore } from 'react';
import type { BestChat, ClientSnapshot } from './client.js';
import type { ConversationSnapshot } from './follow.js';
import type { ListSnapshot } from './list.js';

/** The connection's state and user. */
export function useBestChat(client: BestChat): ClientSnapshot {
  return useSyncExternalStore(client.onChange, client.getSnapshot, client.getSnapshot);
}

/** A conversation, followed for as long as the component shows. */
export function useConversation(
  client: BestChat,
  id: string,
): ConversationSnapshot & { loadOlder(): Promise<void> } {
  const follow = client.conversation(id);
  const snapshot = useSyncExternalStore(follow.subscribe, follow.getSnapshot, follow.getSnapshot);
  return { ...snapshot, loadOlder: () => follow.loadOlder() };
}

/** The list of conversations, live across tabs. */
export function useConversations(
  client: BestChat,
  options: { archived?: boolean } = {},
): ListSnapshot & { loadMore(): Promise<void> } {
  const list = client.conversations(options);
  const snapshot = useSyncExternalStore(list.subscribe, list.getSnapshot, list.getSnapshot);
  return { ...snapshot, loadMore: () => list.loadMore() };
}
