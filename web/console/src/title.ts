import type { ConversationView } from '@bestchat/client';

/** What a conversation is called: its title, else how it began. */
export function titleOf({ title, preview }: Pick<ConversationView, 'title' | 'preview'>): string {
  return title ?? preview ?? 'New chat';
}
