// The types of the wire, version 1. They follow api/src/ws/frame.rs, domain/src/conversation/event.rs and
// projections/src/view.rs; ts-rs generates this file from there.

/** What a client may say. */
export type ClientFrame =
  | { type: 'auth'; token: string }
  | {
      type: 'command';
      id: string;
      conversation: string;
      expected_sequence?: number;
      command: ClientCommand;
    }
  | { type: 'subscribe'; conversation: string; after?: number; replies?: Array<ReplyCursor> }
  | { type: 'unsubscribe'; conversation: string }
  | { type: 'typing'; conversation: string }
  | { type: 'ping' };

/** How much of a running reply a client has. */
export type ReplyCursor = { reply: string; attempt: number; offset: number };

/** A command as a client words it. Ids may be left out: they then follow from the command's id. */
export type ClientCommand =
  | { type: 'StartConversation'; title?: string; model?: string; system_prompt?: string }
  | { type: 'RenameConversation'; title: string }
  | { type: 'ConfigureModel'; model?: string; system_prompt?: string }
  | {
      type: 'SubmitMessage';
      text: string;
      parent?: string | null;
      message?: string;
      reply?: string;
      answer?: boolean;
    }
  | {
      type: 'EditMessage';
      edit_of: string;
      text: string;
      message?: string;
      reply?: string;
      answer?: boolean;
    }
  | { type: 'RegenerateReply'; regenerate_of: string; reply?: string }
  | { type: 'SelectBranch'; message: string }
  | { type: 'StopReply'; reply: string }
  | { type: 'AddParticipant'; user: string }
  | { type: 'RemoveParticipant'; user: string }
  | { type: 'ArchiveConversation' }
  | { type: 'UnarchiveConversation' }
  | { type: 'DeleteConversation' };

/** What a client is told. */
export type ServerFrame =
  | { type: 'hello'; protocol: number; session: string; ping_ms: number; max_frame: number; auth_ms: number }
  | { type: 'authenticated'; user: string; expires_at: number }
  | { type: 'ack'; id: string; sequence: number; position: string }
  | {
      type: 'refused';
      id: string | null;
      conversation: string | null;
      code: string;
      message: string;
      retryable: boolean;
    }
  | { type: 'subscribed'; conversation: string; sequence: number; snapshot: Snapshot | null }
  | {
      type: 'event';
      conversation: string;
      sequence: number;
      position: string;
      actor: string;
      at: string;
      event: ConversationEvent;
    }
  | { type: 'live'; conversation: string; sequence: number }
  | { type: 'delta'; conversation: string; reply: string; attempt: number; offset: number; text: string }
  | { type: 'typing'; conversation: string; user: string }
  | { type: 'unsubscribed'; conversation: string; reason: string }
  | { type: 'conversation_changed'; id: string; conversation: ConversationView | null }
  | { type: 'pong' };

/** A conversation at a sequence: itself and its newest messages. */
export type Snapshot = { conversation: ConversationView; messages: Array<MessageView>; more: boolean };

/** An event of a conversation. */
export type ConversationEvent =
  | {
      type: 'ConversationStarted';
      owner: string;
      tenant: string;
      title: string | null;
      model: string | null;
      system_prompt: string | null;
    }
  | { type: 'ConversationRenamed'; title: string }
  | { type: 'ModelConfigured'; model: string | null; system_prompt: string | null }
  | { type: 'ParticipantAdded'; user: string }
  | { type: 'ParticipantRemoved'; user: string }
  | {
      type: 'MessageSubmitted';
      message: string;
      parent: string | null;
      author: string;
      parts: Array<Part>;
      edit_of: string | null;
    }
  | {
      type: 'ReplyRequested';
      reply: string;
      parent: string;
      model: string | null;
      regenerate_of: string | null;
    }
  | { type: 'ReplyAttemptStarted'; reply: string; attempt: number; worker: string; lease_ms: number }
  | { type: 'ReplyAttemptFailed'; reply: string; attempt: number; error: ReplyError }
  | { type: 'ReplyAttemptExpired'; reply: string; attempt: number }
  | { type: 'ReplyStopRequested'; reply: string }
  | {
      type: 'ReplyCompleted';
      reply: string;
      attempt: number;
      parts: Array<Part>;
      finish: Finish;
      model: string;
      usage: Usage;
    }
  | { type: 'ReplyStopped'; reply: string; attempt: number; parts: Array<Part> }
  | { type: 'ReplyFailed'; reply: string; attempt: number; error: ReplyError; parts: Array<Part> }
  | { type: 'BranchSelected'; leaf: string }
  | { type: 'ConversationArchived' }
  | { type: 'ConversationUnarchived' }
  | { type: 'ConversationDeleted' };

/** A piece of a message. */
export type Part = { type: 'text'; text: string };

/** Why a model stopped by itself. */
export type Finish = 'stop' | 'length' | 'content_filter' | 'other';

/** Tokens of one attempt. The counts do not overlap; null means that the provider said nothing. */
export type Usage = {
  input: number | null;
  cached_input: number | null;
  output: number | null;
  reasoning: number | null;
};

/** Why a reply, or one attempt at it, ended without an answer. */
export type ReplyError = { code: string; message: string };

/** A conversation, as a row of its participants' lists. */
export type ConversationView = {
  id: string;
  title: string | null;
  preview: string | null;
  owner: string;
  participants: Array<string>;
  model: string | null;
  system_prompt: string | null;
  active_leaf: string | null;
  archived: boolean;
  sequence: number;
  created_at: string;
  updated_at: string;
};

/** A message of a conversation's tree. */
export type MessageView = {
  id: string;
  parent: string | null;
  role: Role;
  author: string | null;
  parts: Array<Part>;
  alternative_of: string | null;
  status: MessageStatus;
  attempt: number;
  model: string | null;
  finish: Finish | null;
  usage: Usage | null;
  error: ReplyError | null;
  sequence: number;
  created_at: string;
};

/** Who speaks. */
export type Role = 'user' | 'assistant';

/** How a message stands. */
export type MessageStatus =
  | 'submitted'
  | 'pending'
  | 'running'
  | 'stopping'
  | 'completed'
  | 'stopped'
  | 'failed';
