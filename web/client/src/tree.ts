// The tree of messages: the branch shown, and the alternatives to a message.

import type { ConversationState, Message } from './state.js';

type Tree = Pick<ConversationState, 'messages' | 'conversation'>;

/** The branch shown, from its oldest known message to the active leaf. */
export function branch({ messages, conversation }: Tree): Message[] {
  const path: Message[] = [];
  let at = conversation.active_leaf;
  // The length bounds the walk should a server ever send a circle.
  while (at !== null && path.length <= messages.size) {
    const message = messages.get(at);
    if (!message) break;
    path.push(message);
    at = message.parent;
  }
  return path.reverse();
}

/** The alternatives at the message's place, itself among them, oldest first. */
export function siblings({ messages }: Pick<Tree, 'messages'>, id: string): Message[] {
  const message = messages.get(id);
  if (!message) return [];
  return children(messages).get(message.parent) ?? [];
}

/** The last message of the branch that `id` lies on, following the newest child at each step. */
export function newestDescendant({ messages }: Pick<Tree, 'messages'>, id: string): string {
  const byParent = children(messages);
  let at = id;
  for (let steps = 0; steps <= messages.size; steps += 1) {
    const newest = byParent.get(at)?.at(-1);
    if (!newest) break;
    at = newest.id;
  }
  return at;
}

const cache = new WeakMap<ReadonlyMap<string, Message>, Map<string | null, Message[]>>();

/** The messages by parent, each list in sequence order; kept for as long as the same messages are looked at. */
function children(messages: ReadonlyMap<string, Message>): Map<string | null, Message[]> {
  const known = cache.get(messages);
  if (known) return known;
  const byParent = new Map<string | null, Message[]>();
  for (const message of messages.values()) {
    const list = byParent.get(message.parent);
    if (list) list.push(message);
    else byParent.set(message.parent, [message]);
  }
  for (const list of byParent.values()) list.sort((a, b) => a.sequence - b.sequence);
  cache.set(messages, byParent);
  return byParent;
}
