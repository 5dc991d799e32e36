import { type ReactNode, useState } from 'react';
import { useConsole } from '../console';
import { open } from '../route';
import { Composer } from './Composer';
import { ModelPicker } from './ModelPicker';
import { useModels } from './models';

/** A chat that is not one yet: it begins with its first message. */
export function NewChat({ menuButton }: { menuButton: ReactNode }) {
  const { outbound } = useConsole();
  const models = useModels();
  const [model, setModel] = useState<string | null>(null);
  const [systemPrompt, setSystemPrompt] = useState('');
  return (
    <main className="chat new">
      <header className="chat-head">
        {menuButton}
        <h1>New chat</h1>
        <ModelPicker models={models} value={model} onChange={setModel} />
      </header>
      <div className="welcome">
        <h2>What is on your mind?</h2>
        <details className="prompt-details">
          <summary>System prompt</summary>
          <textarea
            aria-label="System prompt"
            rows={4}
            placeholder="What the model is told before the first message"
            value={systemPrompt}
            onChange={(event) => setSystemPrompt(event.target.value)}
          />
        </details>
      </div>
      <Composer draftKey="new" onSend={(text) => open(outbound.start(text, { model, systemPrompt }))} />
    </main>
  );
}
