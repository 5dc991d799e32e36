import type { ProviderConfigView, Tested } from '@bestchat/client';
import { useState } from 'react';
import { helpAgainst } from '../chat/words';
import { asSentence, inWords, useAsk, useConsole } from '../console';
import { Dialog } from '../Dialog';

interface Props {
  config: ProviderConfigView;
  onChange(): void;
  onRemoved(position: string): void;
}

/** A provider as one has configured it: it can be tried out, changed and removed. */
export function ProviderCard({ config, onChange, onRemoved }: Props) {
  const { client } = useConsole();
  const ask = useAsk();
  const [removing, setRemoving] = useState(false);
  const [tested, setTested] = useState<{ works: boolean; words: string } | 'trying' | null>(null);
  const { provider, last_four, base_url, models } = config;

  const test = async () => {
    setTested('trying');
    setTested(await client.rest.testProvider(provider).then(inTestWords, refusedWords));
  };
  const remove = () => {
    setRemoving(false);
    void ask(client.rest.removeProviderConfig(provider).then(({ position }) => onRemoved(position)));
  };
  return (
    <>
      <div className="card-head">
        <h3>{provider}</h3>
        <span className="muted">{keyInWords(last_four)}</span>
      </div>
      {base_url && <p className="muted card-line">{base_url}</p>}
      {models.length > 0 && <p className="muted card-line">{models.map(({ id }) => id).join(', ')}</p>}
      <div className="card-actions">
        <button type="button" disabled={tested === 'trying'} onClick={() => void test()}>
          {tested === 'trying' ? 'Trying…' : 'Test'}
          <span className="only-heard"> {provider}</span>
        </button>
        <button type="button" className="quiet" onClick={onChange}>
          Change<span className="only-heard"> {provider}</span>
        </button>
        <button type="button" className="quiet" onClick={() => setRemoving(true)}>
          Remove<span className="only-heard"> {provider}</span>
        </button>
      </div>
      <p role="status" className={tested && tested !== 'trying' && !tested.works ? 'problem' : 'good'}>
        {tested && tested !== 'trying' && tested.words}
      </p>
      {removing && (
        <Dialog title={`Remove ${provider}?`} onClose={() => setRemoving(false)}>
          <p>Its key is forgotten. Chats that use its models will not be answered by it any more.</p>
          <div className="dialog-actions">
            <button type="button" className="quiet" onClick={() => setRemoving(false)}>
              Cancel
            </button>
            <button type="button" className="danger" onClick={remove}>
              Remove
            </button>
          </div>
        </Dialog>
      )}
    </>
  );
}

function keyInWords(lastFour: string | null): string {
  if (lastFour === null) return 'No key';
  return lastFour === '' ? 'Has a key' : `Key ends in ${lastFour}`;
}

function inTestWords(tested: Tested): { works: boolean; words: string } {
  if (tested.ok) return { works: true, words: `It works: ${tested.model} answered in ${tested.took_ms} ms.` };
  const { code, message } = tested.error;
  return { works: false, words: `${asSentence(message)} ${helpAgainst(code).words}` };
}

const refusedWords = (error: unknown) => ({ works: false, words: inWords(error) });
