// A conversation as a client knows it.

import type { ConversationView, MessageView, Part, ReplyError, ServerFrame, Snapshot } from './wire.js';

/** A message; of a running reply, with what has come of it so far. */
export type Message = MessageView & {
  /** The text. */
  liveText?: string;
  /** Whether the model thinks at the moment. */
  thinking?: true;
  /** The model that the running attempt asks, where that was told. */
  asked?: string;
  /** The attempt that came to nothing before. Whoever came later has not heard of it. */
  setback?: Setback;
};

/** Why an attempt came to nothing though the reply goes on. */
export interface Setback {
  error: ReplyError;
  /** Whether another model is asked next. */
  switched: boolean;
}

/** A conversation at a sequence. Never changed in place: a change makes a new one. */
export interface ConversationState {
  readonly conversation: ConversationView;
  /** The messages known, by id; older ones may still be on the server, see `more`. */
  readonly messages: ReadonlyMap<string, Message>;
  /** The last event taken in. */
  readonly sequence: number;
  /** Whether everything up to now is known and news arrives as it happens. */
  readonly live: boolean;
  /** Whether the server has older messages than those known. */
  readonly more: boolean;
  /** Whether it was deleted. */
  readonly gone: boolean;
}

/** An event with what surrounds it, as the socket and `/events` give it. */
export type EventFrame = Pick<Extract<ServerFrame, { type: 'event' }>, 'sequence' | 'at' | 'event'>;

/** The state that a snapshot describes. */
export function fromSnapshot(snapshot: Snapshot, sequence: number): ConversationState {
  return {
    conversation: snapshot.conversation,
    messages: new Map(snapshot.messages.map((message) => [message.id, message])),
    sequence,
    live: false,
    more: snapshot.more,
    gone: false,
  };
}

/** A conversation before its first event, for folding a whole log. */
export function emptyState(id: string): ConversationState {
  const conversation: ConversationView = {
    id,
    title: null,
    preview: null,
    owner: '',
    participants: [],
    model: null,
    system_prompt: null,
    active_leaf: null,
    archived: false,
    sequence: 0,
    created_at: '',
    updated_at: '',
  };
  return { conversation, messages: new Map(), sequence: 0, live: false, more: false, gone: false };
}

/** The text of a message's parts. Parts of kinds that this client does not know are left out. */
export function textOf(parts: readonly Part[]): string {
  return parts.map((part) => (part.type === 'text' ? part.text : '')).join('');
}

/** Whether nothing more happens to the message. */
export function hasEnded(message: MessageView): boolean {
  return message.status !== 'pending' && message.status !== 'running' && message.status !== 'stopping';
}
