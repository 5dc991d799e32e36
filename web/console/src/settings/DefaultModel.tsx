import type { DefaultView, ProviderCatalog, ProviderConfigView } from '@bestchat/client';
import { type FormEvent, useCallback, useEffect, useState } from 'react';
import { useAsk, useConsole } from '../console';
import { withoutProvider } from './provider';
import { useRead } from './read';

interface Props {
  catalog: ProviderCatalog | null;
  configs: ProviderConfigView[] | null;
}

/** Which model answers in a chat for which one chose none. */
export function DefaultModel({ catalog, configs }: Props) {
  const { client } = useConsole();
  const saved = useRead(
    useCallback((after: { min_position?: string }) => client.rest.defaultProvider(after), [client]),
  );
  // One that was the default and is removed is the default no longer.
  const again = saved.again;
  useEffect(() => {
    if (configs) again();
  }, [configs, again]);
  const providers = new Set([
    ...(configs ?? []).map(({ provider }) => provider),
    ...(catalog?.providers ?? []).filter(({ configured }) => configured).map(({ id }) => id),
  ]);
  return (
    <section aria-labelledby="default-model">
      <h2 id="default-model">Default model</h2>
      <p className="muted">It answers in chats for which you choose no model.</p>
      {saved.problem && <p className="problem">{saved.problem}</p>}
      {saved.value && (
        <DefaultForm
          key={`${saved.value.provider}/${saved.value.model}`}
          saved={saved.value}
          providers={[...providers]}
          onSaved={saved.again}
        />
      )}
    </section>
  );
}

function DefaultForm({
  saved,
  providers,
  onSaved,
}: {
  saved: DefaultView;
  providers: string[];
  onSaved(position: string): void;
}) {
  const { client } = useConsole();
  const ask = useAsk();
  const [provider, setProvider] = useState(saved.provider ?? '');
  const [model, setModel] = useState(saved.model ?? '');
  const models = useModelsOf(provider);
  const isChanged = provider !== (saved.provider ?? '') || model !== (saved.model ?? '');
  const submit = (event: FormEvent) => {
    event.preventDefault();
    const choice = provider === '' ? {} : { provider, model: model.trim() || null };
    void ask(client.rest.setDefaultProvider(choice).then(({ position }) => onSaved(position)));
  };
  return (
    <form className="form-line" onSubmit={submit}>
      <label className="field">
        <span>Provider</span>
        <select
          value={provider}
          onChange={(event) => {
            setProvider(event.target.value);
            setModel('');
          }}
        >
          <option value="">The installation’s default</option>
          {[...new Set([...providers, ...(provider ? [provider] : [])])].map((id) => (
            <option key={id} value={id}>
              {id}
            </option>
          ))}
        </select>
      </label>
      {provider !== '' && (
        <label className="field">
          <span>Model</span>
          <input
            list="default-models"
            value={model}
            placeholder="The first that it offers"
            spellCheck={false}
            onChange={(event) => setModel(event.target.value)}
          />
          <datalist id="default-models">
            {models.map((id) => (
              <option key={id} value={id} />
            ))}
          </datalist>
        </label>
      )}
      <button type="submit" disabled={!isChanged}>
        Save the default
      </button>
    </form>
  );
}

/** The models of a provider, to choose from; none while it cannot be asked. */
function useModelsOf(provider: string): readonly string[] {
  const { client } = useConsole();
  const [models, setModels] = useState<readonly string[]>([]);
  useEffect(() => {
    setModels([]);
    if (provider === '') return;
    let isWanted = true;
    client.rest.providerModels(provider).then(
      (answer) => isWanted && setModels(answer.models.map(({ id }) => withoutProvider(provider, id))),
      () => {},
    );
    return () => {
      isWanted = false;
    };
  }, [client, provider]);
  return models;
}
