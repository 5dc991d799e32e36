import type { Limits } from '@bestchat/client';
import { type FormEvent, useCallback, useState } from 'react';
import { useAsk, useConsole } from '../console';
import { fieldsOf, LIMITS, limitsOf } from './figures';
import { useRead } from './read';

/** How much one may use. */
export function LimitsForm() {
  const { client } = useConsole();
  const saved = useRead(
    useCallback((after: { min_position?: string }) => client.rest.limits(after), [client]),
  );
  return (
    <section aria-labelledby="limits">
      <h2 id="limits">Limits</h2>
      <p className="muted">
        An answer that would go over one is refused. Days and months are those of UTC; an empty field is no
        limit.
      </p>
      {saved.problem && <p className="problem">{saved.problem}</p>}
      {saved.value && <Fields key={JSON.stringify(saved.value)} saved={saved.value} onSaved={saved.again} />}
    </section>
  );
}

function Fields({ saved, onSaved }: { saved: Limits; onSaved(position: string): void }) {
  const { client } = useConsole();
  const ask = useAsk();
  const [fields, setFields] = useState(fieldsOf(saved));
  const wanted = limitsOf(fields);
  const isChanged = LIMITS.some(({ name }) => wanted[name] !== saved[name]);
  const submit = (event: FormEvent) => {
    event.preventDefault();
    void ask(client.rest.setLimits(wanted).then(({ position }) => onSaved(position)));
  };
  return (
    <form onSubmit={submit}>
      <div className="limits">
        {LIMITS.map(({ name, label }) => (
          <label key={name} className="field">
            <span>{label}</span>
            <input
              type="number"
              min="0"
              step={name.startsWith('micro_usd') ? 'any' : '1'}
              placeholder="No limit"
              value={fields[name]}
              onChange={(event) => setFields({ ...fields, [name]: event.target.value })}
            />
          </label>
        ))}
      </div>
      <button type="submit" disabled={!isChanged}>
        Save the limits
      </button>
    </form>
  );
}
