import type { ProviderCatalog, ProviderConfigView } from '@bestchat/client';
import { type FormEvent, useState } from 'react';
import { inWords, useConsole } from '../console';
import { configOf, type ProviderFields } from './provider';

/** The choice of a provider that the catalogue does not have. */
const OTHER = '';

interface Props {
  catalog: ProviderCatalog;
  /** The providers that one has already. */
  taken: readonly string[];
  /** What is changed; null for one more. */
  config: ProviderConfigView | null;
  onSaved(position: string): void;
  onCancel(): void;
}

/** A provider and its key. Of one that the catalogue has, the key is enough. */
export function ProviderForm({ catalog, taken, config, onSaved, onCancel }: Props) {
  const { client } = useConsole();
  const choices = catalog.providers.filter(({ id }) => !taken.includes(id));
  const [choice, setChoice] = useState(config?.provider ?? choices[0]?.id ?? OTHER);
  const [fields, setFields] = useState<ProviderFields>({
    name: '',
    key: '',
    protocol: config?.protocol ?? '',
    address: config?.base_url ?? '',
    models: config?.models.map(({ id }) => id).join('\n') ?? '',
  });
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState<string | null>(null);
  const isOther = choice === OTHER;
  const known = catalog.providers.find(({ id }) => id === (config?.provider ?? choice));
  const needsAddress = !known || known.needs_base_url;
  const provider = isOther ? fields.name.trim() : choice;
  const set = (name: keyof ProviderFields) => (event: { target: { value: string } }) =>
    setFields({ ...fields, [name]: event.target.value });

  const submit = async (event: FormEvent) => {
    event.preventDefault();
    setBusy(true);
    setProblem(null);
    try {
      onSaved((await client.rest.saveProviderConfig(provider, configOf(fields, config))).position);
    } catch (error) {
      setProblem(inWords(error));
      setBusy(false);
    }
  };
  return (
    <form className="provider-form" onSubmit={(event) => void submit(event)}>
      {config ? (
        <h3>{config.provider}</h3>
      ) : (
        <label className="field">
          <span>Provider</span>
          <select value={choice} onChange={(event) => setChoice(event.target.value)}>
            {choices.map((choice) => (
              <option key={choice.id} value={choice.id}>
                {choice.name}
              </option>
            ))}
            <option value={OTHER}>Another one…</option>
          </select>
        </label>
      )}
      {isOther && (
        <label className="field">
          <span>Name</span>
          <input
            required
            value={fields.name}
            placeholder="my-provider"
            pattern="[a-z0-9][a-z0-9._\-]{0,63}"
            title="Small letters, digits, dots, hyphens and underscores"
            spellCheck={false}
            onChange={set('name')}
          />
        </label>
      )}
      <label className="field">
        <span>API key</span>
        <input
          type="password"
          autoComplete="off"
          value={fields.key}
          placeholder={config?.last_four ? 'Unchanged' : known?.needs_key === false ? 'None is needed' : ''}
          onChange={set('key')}
        />
      </label>
      <details key={choice} className="provider-details" open={needsAddress}>
        <summary>Address, protocol and models</summary>
        <label className="field">
          <span>Address</span>
          <input
            type="url"
            required={needsAddress}
            value={fields.address}
            placeholder={known?.base_url ?? 'https://…/v1'}
            onChange={set('address')}
          />
        </label>
        <label className="field">
          <span>Protocol</span>
          <select required={!known} value={fields.protocol} onChange={set('protocol')}>
            <option value="">{known?.protocol ?? 'Choose one'}</option>
            {catalog.protocols.map((protocol) => (
              <option key={protocol} value={protocol}>
                {protocol}
              </option>
            ))}
          </select>
        </label>
        <label className="field">
          <span>Models, one a line</span>
          <textarea rows={3} value={fields.models} spellCheck={false} onChange={set('models')} />
        </label>
      </details>
      {problem && (
        <p className="problem" role="alert">
          {problem}
        </p>
      )}
      <div className="card-actions">
        <button type="submit" className="primary" disabled={busy || provider === ''}>
          {busy ? 'Saving…' : 'Save'}
        </button>
        <button type="button" className="quiet" onClick={onCancel}>
          Cancel
        </button>
      </div>
    </form>
  );
}
