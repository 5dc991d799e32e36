import { type ConversationState, hasEnded, type Message, textOf } from '@bestchat/client';
import { useAsk, useConsole } from '../console';
import { Icon } from '../Icon';
import { IconButton } from '../IconButton';
import { Branches } from './Branches';
import { CopyButton } from './CopyButton';
import { Markdown } from './Markdown';

/** The model's answer, whole or on its way. */
export function Reply({ state, message }: { state: ConversationState; message: Message }) {
  const { client } = useConsole();
  const ask = useAsk();
  const ended = hasEnded(message);
  const text = ended ? textOf(message.parts) : (message.liveText ?? '');
  const regenerate = () =>
    void ask(client.command(state.conversation.id, { type: 'RegenerateReply', regenerate_of: message.id }));
  const note = noteOf(message);
  return (
    <article
      className="message reply"
      aria-label="Answer"
      aria-busy={!ended}
      data-status={message.status}
      data-attempt={message.attempt}
    >
      {!ended && note && <p className="working">{note}</p>}
      {text !== '' && <Markdown text={text} streaming={!ended} />}
      {!ended && !note && text === '' && <p className="working dots">Thinking</p>}
      {message.status === 'failed' && (
        <div className="failure">
          <p>{message.error?.message || 'The answer could not be finished.'}</p>
          <button type="button" onClick={regenerate}>
            <Icon name="again" size={16} /> Try again
          </button>
        </div>
      )}
      {ended && (
        <div className="actions">
          <Branches state={state} message={message} />
          {text !== '' && <CopyButton text={text} label="Copy the answer" />}
          {!state.conversation.archived && message.status !== 'failed' && (
            <IconButton icon="again" label="Answer again" onClick={regenerate} />
          )}
          {note && <span className="note">{note}</span>}
          {message.model && <span className="note model">{message.model}</span>}
        </div>
      )}
    </article>
  );
}

/** What there is to say about how the answer stands, beyond its text. */
function noteOf({ status, attempt, finish }: Message): string | null {
  if (status === 'stopping') return 'Stopping…';
  if (status === 'pending' && attempt > 0) return 'That did not work. Answering again…';
  if (status === 'running' && attempt > 1) return `Answering again (attempt ${attempt})…`;
  if (status === 'stopped') return 'Stopped';
  if (finish === 'length') return 'Ended at the model’s length limit';
  if (finish === 'content_filter') return 'The provider withheld the rest';
  return null;
}
