import { type ConversationState, hasEnded, type Message, textOf } from '@bestchat/client';
import { useAsk, useConsole } from '../console';
import { Icon } from '../Icon';
import { IconButton } from '../IconButton';
import { SETTINGS } from '../route';
import { Branches } from './Branches';
import { CopyButton } from './CopyButton';
import { Markdown } from './Markdown';
import { helpAgainst, noteOf, waitOf } from './words';

/** The model's answer, whole or on its way. */
export function Reply({ state, message }: { state: ConversationState; message: Message }) {
  const { client } = useConsole();
  const ask = useAsk();
  const ended = hasEnded(message);
  const text = ended ? textOf(message.parts) : (message.liveText ?? '');
  const regenerate = () =>
    void ask(client.command(state.conversation.id, { type: 'RegenerateReply', regenerate_of: message.id }));
  const note = noteOf(message);
  const wait = waitOf(message);
  return (
    <article
      className="message reply"
      aria-label="Answer"
      aria-busy={!ended}
      data-status={message.status}
      data-attempt={message.attempt}
    >
      {!ended && note && (
        <p className="working" role="status">
          {note}
        </p>
      )}
      {text !== '' && <Markdown text={text} streaming={!ended} />}
      {wait && <p className="working dots">{wait}</p>}
      {message.status === 'failed' && <Failure message={message} onRetry={regenerate} />}
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

/** Why there is no answer, and what can be done. */
function Failure({ message: { error }, onRetry }: { message: Message; onRetry(): void }) {
  const help = helpAgainst(error?.code ?? '');
  return (
    <div className="failure">
      <div>
        <p>{error?.message || 'The answer could not be finished.'}</p>
        <p className="help">
          {help.words} {help.inSettings && <a href={SETTINGS}>Open the settings</a>}
        </p>
      </div>
      <button type="button" onClick={onRetry}>
        <Icon name="again" size={16} /> Try again
      </button>
    </div>
  );
}
