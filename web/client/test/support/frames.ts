// Frames for tests, with the parts that do not matter filled in.

import type { ConversationEvent, ConversationView, MessageView, ServerFrame } from '../../src/wire.js';

export const CONVERSATION = '11111111-1111-4111-8111-111111111111';
export const AT = '2026-01-02T03:04:05Z';

export function event(sequence: number, what: ConversationEvent): Extract<ServerFrame, { type: 'event' }> {
  const position = `0:${sequence}`;
  return {
    type: 'event',
    conversation: CONVERSATION,
    sequence,
    position,
    actor: 'user:ann',
    at: AT,
    event: what,
  };
}

export function row(change: Partial<ConversationView> = {}): ConversationView {
  return {
    id: CONVERSATION,
    title: null,
    preview: null,
    owner: 'ann',
    participants: ['ann'],
    model: null,
    system_prompt: null,
    active_leaf: null,
    archived: false,
    sequence: 1,
    created_at: AT,
    updated_at: AT,
    ...change,
  };
}

export function message(id: string, change: Partial<MessageView> = {}): MessageView {
  return {
    id,
    parent: null,
    role: 'user',
    author: 'ann',
    parts: [{ type: 'text', text: id }],
    alternative_of: null,
    status: 'submitted',
    attempt: 0,
    model: null,
    finish: null,
    usage: null,
    error: null,
    sequence: 2,
    created_at: AT,
    ...change,
  };
}

export function reply(id: string, change: Partial<MessageView> = {}): MessageView {
  return message(id, { role: 'assistant', author: null, parts: [], status: 'pending', ...change });
}

export function subscribed(
  sequence: number,
  messages: MessageView[] | null,
  leaf: string | null = messages?.at(-1)?.id ?? null,
): ServerFrame {
  const conversation = row({ sequence, active_leaf: leaf });
  const snapshot = messages && { conversation, messages, more: false };
  return { type: 'subscribed', conversation: CONVERSATION, sequence, snapshot };
}

export function delta(replyId: string, attempt: number, offset: number, text: string): ServerFrame {
  return { type: 'delta', conversation: CONVERSATION, reply: replyId, attempt, offset, text };
}

export function live(sequence: number): ServerFrame {
  return { type: 'live', conversation: CONVERSATION, sequence };
}
