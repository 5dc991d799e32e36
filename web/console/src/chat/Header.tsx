import type { ClientCommand, ConversationView } from '@bestchat/client';
import { type ReactNode, useState } from 'react';
import { useAsk, useConsole } from '../console';
import { IconButton } from '../IconButton';
import { Rename } from '../sidebar/Rename';
import { titleOf } from '../title';
import { ModelPicker } from './ModelPicker';
import { useModels } from './models';
import { Settings } from './Settings';

export function Header({
  conversation,
  menuButton,
}: {
  conversation: ConversationView;
  menuButton: ReactNode;
}) {
  const { client } = useConsole();
  const ask = useAsk();
  const models = useModels();
  const [renaming, setRenaming] = useState(false);
  const [settings, setSettings] = useState(false);
  const { id, model, system_prompt, participants } = conversation;
  const title = titleOf(conversation);
  const send = (command: ClientCommand) => void ask(client.command(id, command));
  // What is left out goes back to the default, so both are said each time.
  const configure = (next: string | null, prompt: string | null) =>
    send({
      type: 'ConfigureModel',
      ...(next === null ? {} : { model: next }),
      ...(prompt === null ? {} : { system_prompt: prompt }),
    });

  return (
    <header className="chat-head">
      {menuButton}
      {renaming ? (
        <Rename
          title={title}
          onDone={(renamed) => {
            setRenaming(false);
            if (renamed !== null) send({ type: 'RenameConversation', title: renamed });
          }}
        />
      ) : (
        <h1>
          <button type="button" className="title" title="Rename" onClick={() => setRenaming(true)}>
            {title}
          </button>
        </h1>
      )}
      {participants.length > 1 && (
        <span className="people" title={participants.join(', ')}>
          {participants.length} people
        </span>
      )}
      <ModelPicker models={models} value={model} onChange={(next) => configure(next, system_prompt)} />
      <IconButton icon="settings" label="Settings of this chat" onClick={() => setSettings(true)} />
      {settings && (
        <Settings
          conversation={conversation}
          onSystemPrompt={(prompt) => configure(model, prompt)}
          onClose={() => setSettings(false)}
        />
      )}
    </header>
  );
}
