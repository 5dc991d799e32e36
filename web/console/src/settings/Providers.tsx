import type { ProviderCatalog, ProviderConfigView } from '@bestchat/client';
import { useState } from 'react';
import { ProviderCard } from './ProviderCard';
import { ProviderForm } from './ProviderForm';
import type { Reading } from './read';

interface Props {
  catalog: Reading<ProviderCatalog>;
  configs: Reading<ProviderConfigView[]>;
}

/** The providers that one has a key for. */
export function Providers({ catalog, configs }: Props) {
  /** Which one is being changed; `new` for one more. */
  const [open, setOpen] = useState<string | null>(null);
  const problem = configs.problem ?? catalog.problem;
  const saved = (position: string) => {
    setOpen(null);
    configs.again(position);
  };
  const form = (config: ProviderConfigView | null) =>
    catalog.value && (
      <ProviderForm
        catalog={catalog.value}
        taken={configs.value?.map(({ provider }) => provider) ?? []}
        config={config}
        onSaved={saved}
        onCancel={() => setOpen(null)}
      />
    );
  return (
    <section aria-labelledby="providers">
      <h2 id="providers">Providers</h2>
      <p className="muted">
        Models answer you by your own keys. The server encrypts a key before it stores it, and shows nobody
        more of it than its last four characters.
      </p>
      {problem && <p className="problem">{problem}</p>}
      <ul className="cards">
        {configs.value?.map((config) => (
          <li key={config.provider} className="card">
            {open === config.provider ? (
              form(config)
            ) : (
              <ProviderCard config={config} onChange={() => setOpen(config.provider)} onRemoved={saved} />
            )}
          </li>
        ))}
        {open === 'new' && <li className="card">{form(null)}</li>}
      </ul>
      {configs.value?.length === 0 && open === null && <p className="muted">You have no provider yet.</p>}
      {open !== 'new' && (
        <button type="button" disabled={!catalog.value} onClick={() => setOpen('new')}>
          Add a provider
        </button>
      )}
    </section>
  );
}
