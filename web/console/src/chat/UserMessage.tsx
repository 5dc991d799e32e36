import { type ConversationState, type Message, textOf } from '@bestchat/client';
import { useState } from 'react';
import { useConsole } from '../console';
import { IconButton } from '../IconButton';
import { Branches } from './Branches';
import { CopyButton } from './CopyButton';
import { Editor } from './Editor';

interface Props {
  state: ConversationState;
  message: Message;
  isOwn: boolean;
  /** Whether there are others, so that it matters who said it. */
  isShared: boolean;
}

export function UserMessage({ state, message, isOwn, isShared }: Props) {
  const { outbound } = useConsole();
  const [editing, setEditing] = useState(false);
  const text = textOf(message.parts);
  const save = (next: string) => {
    setEditing(false);
    if (next !== text) outbound.edit(state.conversation.id, next, message.id);
  };
  return (
    <article
      className={isOwn ? 'message user own' : 'message user'}
      aria-label={`Message of ${message.author}`}
    >
      {isShared && !isOwn && <span className="author">{message.author}</span>}
      {editing ? (
        <Editor text={text} onSave={save} onCancel={() => setEditing(false)} />
      ) : (
        <>
          <div className="bubble">{text}</div>
          <div className="actions">
            <CopyButton text={text} label="Copy the message" />
            {isOwn && !state.conversation.archived && (
              <IconButton icon="edit" label="Edit the message" onClick={() => setEditing(true)} />
            )}
            <Branches state={state} message={message} />
          </div>
        </>
      )}
    </article>
  );
}
