// The public face of the client.

export { BestChat, type BestChatOptions, type ClientSnapshot, type Subscription } from './client.js';
export type { ClosedReason, ConnectionState } from './connection.js';
export { applyEvent } from './fold.js';
export type { ConversationSnapshot, Follow } from './follow.js';
export { newId } from './id.js';
export type { ConversationList, ListSnapshot } from './list.js';
export type { Ack, CommandOptions } from './outbox.js';
export { Refused } from './refused.js';
export {
  frameOf,
  type LoggedEvent,
  type ProviderConfig,
  Rest,
  type Saved,
  type Tested,
  type TokenSource,
  type UsageBy,
} from './rest.js';
export {
  type ConversationState,
  type EventFrame,
  emptyState,
  fromSnapshot,
  hasEnded,
  type Message,
  type Setback,
  textOf,
} from './state.js';
export { branch, newestDescendant, siblings } from './tree.js';
export type * from './wire.js';
