// One conversation of the mock: its log, what is refused, what it looks like. Enough of the server's rules to work on
// the console without a server; the real ones are in domain/src/conversation/decide.rs.

import { randomUUID } from 'node:crypto';

const OPEN = new Set(['pending', 'running', 'stopping']);
const QUIET = new Set([
  'ReplyAttemptStarted',
  'ReplyAttemptFailed',
  'ReplyAttemptExpired',
  'ReplyStopRequested',
  'BranchSelected',
]);
const text = (said) => [{ type: 'text', text: said }];

export class Refusal extends Error {
  constructor(code, message, retryable = false) {
    super(message);
    Object.assign(this, { code, retryable });
  }
}

export class Conversation {
  log = [];
  messages = new Map();
  acked = new Map();
  deleted = false;

  constructor(id, tell) {
    this.tell = tell;
    this.view = {
      id,
      title: null,
      preview: null,
      owner: '',
      participants: [],
      model: null,
      system_prompt: null,
    };
    Object.assign(this.view, {
      active_leaf: null,
      archived: false,
      sequence: 0,
      created_at: '',
      updated_at: '',
    });
  }

  isFor(user) {
    return !this.deleted && this.view.participants.includes(user);
  }

  /** Does the command once: the same id again gives the same ack. */
  execute(user, { id, command, expected_sequence }) {
    const known = this.acked.get(id);
    if (known) return known;
    if (expected_sequence !== undefined && expected_sequence !== this.view.sequence) {
      throw new Refusal('stale_sequence', 'Something else happened first.');
    }
    for (const event of this.decide(user, command)) this.append(`user:${user}`, event);
    const ack = { type: 'ack', id, sequence: this.view.sequence, position: `0:${this.view.sequence}` };
    this.acked.set(id, ack);
    return ack;
  }

  decide(user, command) {
    if (command.type === 'StartConversation') {
      if (this.log.length > 0)
        throw new Refusal('already_started', 'A conversation with this id exists already.');
      const { title = null, model = null, system_prompt = null } = command;
      return [{ type: 'ConversationStarted', owner: user, tenant: 'dev', title, model, system_prompt }];
    }
    if (!this.isFor(user)) throw new Refusal('not_found', 'There is no such conversation.');
    switch (command.type) {
      case 'RenameConversation':
        return [{ type: 'ConversationRenamed', title: command.title }];
      case 'ConfigureModel':
        return [
          {
            type: 'ModelConfigured',
            model: command.model ?? null,
            system_prompt: command.system_prompt ?? null,
          },
        ];
      case 'SubmitMessage': {
        const parent = command.parent === undefined ? this.view.active_leaf : command.parent;
        return this.submit(user, command, parent, null);
      }
      case 'EditMessage':
        return this.submit(user, command, this.message(command.edit_of).parent, command.edit_of);
      case 'RegenerateReply':
        return [
          this.request(command.reply, this.message(command.regenerate_of).parent, command.regenerate_of),
        ];
      case 'SelectBranch':
        return [{ type: 'BranchSelected', leaf: this.newest(command.message) }];
      case 'StopReply': {
        const { status, attempt } = this.message(command.reply);
        if (status === 'running') return [{ type: 'ReplyStopRequested', reply: command.reply }];
        if (status === 'pending') return [{ type: 'ReplyStopped', reply: command.reply, attempt, parts: [] }];
        return [];
      }
      case 'AddParticipant':
        this.checkOwner(user);
        return [{ type: 'ParticipantAdded', user: command.user }];
      case 'RemoveParticipant':
        if (user !== command.user) this.checkOwner(user);
        return [{ type: 'ParticipantRemoved', user: command.user }];
      case 'ArchiveConversation':
        return [{ type: 'ConversationArchived' }];
      case 'UnarchiveConversation':
        return [{ type: 'ConversationUnarchived' }];
      case 'DeleteConversation':
        this.checkOwner(user);
        return [{ type: 'ConversationDeleted' }];
      default:
        throw new Refusal('malformed', `There is no command ${command.type}.`);
    }
  }

  submit(author, { text: said, message = randomUUID(), reply, answer = true }, parent, edit_of) {
    if (this.view.archived) throw new Refusal('archived', 'The conversation is archived.');
    for (let at = parent; at !== null; at = this.messages.get(at).parent) {
      if (OPEN.has(this.messages.get(at).status)) {
        throw new Refusal('reply_in_progress', 'A reply on this branch has not ended yet.');
      }
    }
    const submitted = { type: 'MessageSubmitted', message, parent, author, parts: text(said), edit_of };
    return answer ? [submitted, this.request(reply, message, null)] : [submitted];
  }

  request(reply = randomUUID(), parent, regenerate_of) {
    return { type: 'ReplyRequested', reply, parent, model: this.view.model, regenerate_of };
  }

  message(id) {
    const message = this.messages.get(id);
    if (!message) throw new Refusal('unknown_message', 'There is no such message.');
    return message;
  }

  newest(id) {
    const child = [...this.messages.values()].filter(({ parent }) => parent === id).at(-1);
    return child ? this.newest(child.id) : id;
  }

  checkOwner(user) {
    if (this.view.owner !== user) throw new Refusal('not_owner', 'Only the owner may do this.');
  }

  append(actor, event) {
    const sequence = this.view.sequence + 1;
    const at = new Date().toISOString();
    const position = `0:${sequence}`;
    const frame = { type: 'event', conversation: this.view.id, sequence, position, actor, at, event };
    const before = this.view.participants;
    this.log.push(frame);
    this.apply(frame);
    this.view.sequence = sequence;
    if (!QUIET.has(event.type)) this.view.updated_at = at;
    this.tell(this, frame, before);
  }

  apply({ event, sequence, at }) {
    const { view, messages } = this;
    const fresh = {
      attempt: 0,
      model: null,
      finish: null,
      usage: null,
      error: null,
      sequence,
      created_at: at,
    };
    const { type, ...fields } = event;
    if (type === 'ConversationStarted') {
      const { owner, title, model, system_prompt } = event;
      Object.assign(view, { owner, participants: [owner], title, model, system_prompt, created_at: at });
    } else if (type === 'ConversationRenamed') view.title = event.title;
    else if (type === 'ModelConfigured') Object.assign(view, fields);
    else if (type === 'ParticipantAdded')
      view.participants = [...new Set([...view.participants, event.user])].sort();
    else if (type === 'ParticipantRemoved')
      view.participants = view.participants.filter((user) => user !== event.user);
    else if (type === 'MessageSubmitted') {
      const { message: id, parent, author, parts, edit_of: alternative_of } = event;
      messages.set(id, {
        ...fresh,
        id,
        parent,
        role: 'user',
        author,
        parts,
        alternative_of,
        status: 'submitted',
      });
      view.active_leaf = id;
      view.preview ??= parts[0].text.slice(0, 80);
    } else if (type === 'ReplyRequested') {
      const { reply: id, parent, model, regenerate_of: alternative_of } = event;
      const asked = {
        id,
        parent,
        role: 'assistant',
        author: null,
        parts: [],
        alternative_of,
        status: 'pending',
        model,
      };
      messages.set(id, { ...fresh, ...asked });
      view.active_leaf = id;
    } else if (type === 'BranchSelected') view.active_leaf = event.leaf;
    else if (type === 'ConversationArchived') view.archived = true;
    else if (type === 'ConversationUnarchived') view.archived = false;
    else if (type === 'ConversationDeleted') this.deleted = true;
    else this.applyToReply(type, fields);
  }

  applyToReply(type, { reply, worker: _worker, lease_ms: _lease, ...fields }) {
    const status = {
      ReplyAttemptStarted: 'running',
      ReplyAttemptFailed: 'pending',
      ReplyAttemptExpired: 'pending',
      ReplyStopRequested: 'stopping',
      ReplyCompleted: 'completed',
      ReplyStopped: 'stopped',
      ReplyFailed: 'failed',
    }[type];
    const { error: _error, ...rest } = fields;
    Object.assign(this.messages.get(reply), type === 'ReplyAttemptFailed' ? rest : fields, { status });
  }
}
