// How a conversation follows from its events: the same rules as the server's read models, in
// projections/src/conversation_list.rs and transcript.rs.

import type { ConversationState, EventFrame, Message } from './state.js';
import type { ConversationEvent, ConversationView, Part } from './wire.js';

/** What an attempt is said to have died of that nothing more was heard of. */
const LOST = { code: 'worker_lost', message: 'The process that was answering was lost.' };

// As many characters of the first message as the server's preview has.
const PREVIEW_CHARS = 80;

/** What happens within a reply's making, or only to the view: it does not move a conversation up in the lists. */
const QUIET: ReadonlySet<string> = new Set<ConversationEvent['type']>([
  'ReplyAttemptStarted',
  'ReplyAttemptFailed',
  'ReplyAttemptExpired',
  'ReplyStopRequested',
  'BranchSelected',
]);

/** The state after the event. It must be the one after `state.sequence`. An event of an unknown type only counts. */
export function applyEvent(state: ConversationState, frame: EventFrame): ConversationState {
  const { sequence, at, event } = frame;
  const conversation = {
    ...state.conversation,
    ...changed(state.conversation, event, at),
    sequence,
    ...(QUIET.has(event.type) ? {} : { updated_at: at }),
  };
  return {
    ...state,
    sequence,
    conversation,
    messages: withEvent(state.messages, event, frame),
    gone: state.gone || event.type === 'ConversationDeleted',
  };
}

/** What the event changes in the conversation's own row. */
function changed(row: ConversationView, event: ConversationEvent, at: string): Partial<ConversationView> {
  switch (event.type) {
    case 'ConversationStarted': {
      const { owner, title, model, system_prompt } = event;
      return { owner, participants: [owner], title, model, system_prompt, created_at: at };
    }
    case 'ConversationRenamed':
      return { title: event.title };
    case 'ModelConfigured':
      return { model: event.model, system_prompt: event.system_prompt };
    case 'ParticipantAdded':
      return { participants: [...new Set([...row.participants, event.user])].sort() };
    case 'ParticipantRemoved':
      return { participants: row.participants.filter((user) => user !== event.user) };
    case 'MessageSubmitted':
      return { active_leaf: event.message, preview: row.preview ?? preview(event.parts) };
    case 'ReplyRequested':
      return { active_leaf: event.reply };
    case 'BranchSelected':
      return { active_leaf: event.leaf };
    case 'ConversationArchived':
      return { archived: true };
    case 'ConversationUnarchived':
      return { archived: false };
    default:
      return {};
  }
}

function withEvent(
  messages: ReadonlyMap<string, Message>,
  event: ConversationEvent,
  { sequence, at }: EventFrame,
): ReadonlyMap<string, Message> {
  const created = { attempt: 0, finish: null, usage: null, error: null, sequence, created_at: at };
  switch (event.type) {
    case 'MessageSubmitted': {
      const { message: id, parent, author, parts, edit_of: alternative_of } = event;
      const said = {
        id,
        parent,
        role: 'user',
        author,
        parts,
        alternative_of,
        status: 'submitted',
        model: null,
      } as const;
      return new Map(messages).set(id, { ...created, ...said });
    }
    case 'ReplyRequested': {
      const { reply: id, parent, model, regenerate_of: alternative_of } = event;
      const asked = {
        id,
        parent,
        role: 'assistant',
        author: null,
        parts: [] as Part[],
        alternative_of,
        status: 'pending',
        model,
      } as const;
      return new Map(messages).set(id, { ...created, ...asked });
    }
    default: {
      const change = replyChange(event);
      const reply = change && 'reply' in event ? messages.get(event.reply) : undefined;
      // A message that is not known yet comes with its page, as it stands then.
      if (!reply) return messages;
      const ended = change?.parts !== undefined;
      // A sign of life comes again, if the model still thinks.
      const { liveText, thinking: _, asked, setback, ...rest } = reply;
      const course = ended ? {} : { ...(asked && { asked }), ...(setback && { setback }) };
      // An attempt that goes on says first what the one before had said: until that comes, it stays in sight.
      const goesOn = event.type === 'ReplyAttemptStarted' && event.continues === true;
      const sameAttempt = (change?.attempt ?? reply.attempt) === reply.attempt;
      const keepsText = !ended && liveText !== undefined && (sameAttempt || goesOn);
      return new Map(messages).set(reply.id, {
        ...rest,
        ...course,
        ...change,
        ...(keepsText ? { liveText } : {}),
      });
    }
  }
}

/** What the event changes in the reply that it is about. */
function replyChange(event: ConversationEvent): Partial<Message> | undefined {
  switch (event.type) {
    case 'ReplyAttemptStarted':
      return { status: 'running', attempt: event.attempt, ...(event.model && { asked: event.model }) };
    case 'ReplyAttemptFailed':
      return { status: 'pending', setback: { error: event.error, switched: event.switch ?? false } };
    case 'ReplyAttemptExpired':
      return { status: 'pending', setback: { error: LOST, switched: false } };
    case 'ReplyStopRequested':
      return { status: 'stopping' };
    case 'ReplyCompleted': {
      const { parts, finish, model, usage } = event;
      return { status: 'completed', parts, finish, model, usage };
    }
    case 'ReplyStopped':
      return { status: 'stopped', parts: event.parts };
    case 'ReplyFailed':
      return { status: 'failed', parts: event.parts, error: event.error };
    default:
      return undefined;
  }
}

function preview(parts: Part[]): string {
  const words = parts.map((part) => (part.type === 'text' ? part.text : '')).join(' ');
  return Array.from(words.trim().replace(/\s+/g, ' ')).slice(0, PREVIEW_CHARS).join('');
}
