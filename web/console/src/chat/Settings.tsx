import type { ClientCommand, ConversationView } from '@bestchat/client';
import { useBestChat } from '@bestchat/client/react';
import { type FormEvent, useState } from 'react';
import { useAsk, useConsole } from '../console';
import { Dialog } from '../Dialog';
import { IconButton } from '../IconButton';

interface Props {
  conversation: ConversationView;
  onSystemPrompt(prompt: string | null): void;
  onClose(): void;
}

/** What the model is told, and who is in the chat. */
export function Settings({ conversation, onSystemPrompt, onClose }: Props) {
  const [prompt, setPrompt] = useState(conversation.system_prompt ?? '');
  const save = (event: FormEvent) => {
    event.preventDefault();
    const next = prompt.trim() === '' ? null : prompt;
    if (next !== conversation.system_prompt) onSystemPrompt(next);
    onClose();
  };
  return (
    <Dialog title="Settings of this chat" onClose={onClose}>
      <form onSubmit={save}>
        <label className="field">
          <span>System prompt</span>
          <textarea
            rows={5}
            value={prompt}
            placeholder="What the model is told before the first message"
            onChange={(event) => setPrompt(event.target.value)}
          />
        </label>
        <div className="dialog-actions">
          <button type="submit" className="primary">
            Save
          </button>
        </div>
      </form>
      <Participants conversation={conversation} />
    </Dialog>
  );
}

function Participants({ conversation: { id, owner, participants } }: { conversation: ConversationView }) {
  const { client } = useConsole();
  const { user } = useBestChat(client);
  const ask = useAsk();
  const [added, setAdded] = useState('');
  const send = (command: ClientCommand) => ask(client.command(id, command));
  const add = async (event: FormEvent) => {
    event.preventDefault();
    if (await send({ type: 'AddParticipant', user: added.trim() })) setAdded('');
  };
  const isOwner = user === owner;
  return (
    <section aria-label="People in this chat">
      <h3>People in this chat</h3>
      <ul className="participants">
        {participants.map((name) => (
          <li key={name}>
            <span>{name}</span>
            {name === owner && <small className="muted">owner</small>}
            {name !== owner && (isOwner || name === user) && (
              <IconButton
                icon="close"
                label={`Remove ${name}`}
                onClick={() => void send({ type: 'RemoveParticipant', user: name })}
              />
            )}
          </li>
        ))}
      </ul>
      {isOwner && (
        <form className="add-participant" onSubmit={(event) => void add(event)}>
          <input
            aria-label="User to add"
            placeholder="User id"
            value={added}
            maxLength={255}
            onChange={(event) => setAdded(event.target.value)}
          />
          <button type="submit" disabled={added.trim() === ''}>
            Add
          </button>
        </form>
      )}
    </section>
  );
}
