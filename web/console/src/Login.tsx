import { type FormEvent, useState } from 'react';
import { devLogin, type Session } from './session';

interface Props {
  onLogin(session: Session): void;
  /** Whether an earlier login ended by itself. */
  ended: boolean;
}

/** By name where the server allows that; else with a token of the app's own login. */
export function Login({ onLogin, ended }: Props) {
  const [byToken, setByToken] = useState(false);
  const [value, setValue] = useState('');
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState(ended ? 'Your login has ended. Please log in again.' : null);

  const submit = async (event: FormEvent) => {
    event.preventDefault();
    const given = value.trim();
    if (given === '') return;
    if (byToken) return onLogin({ kind: 'token', token: given });
    setBusy(true);
    setProblem(null);
    try {
      const session = await devLogin(given);
      if (session) return onLogin(session);
      setByToken(true);
      setValue('');
      setProblem('This server does not log in by name. Paste a token of your app’s login.');
    } catch (error) {
      setProblem(
        error instanceof TypeError ? 'The server could not be reached.' : String((error as Error).message),
      );
    } finally {
      setBusy(false);
    }
  };

  return (
    <main className="login">
      <form className="login-card" onSubmit={submit}>
        <img src="./icon.svg" alt="" width="44" height="44" />
        <h1>BestChat</h1>
        <p className="muted">{byToken ? 'Log in with a token.' : 'Who are you? A name is enough here.'}</p>
        <label className="field">
          <span>{byToken ? 'Token' : 'Name'}</span>
          <input
            key={String(byToken)}
            name={byToken ? 'token' : 'user'}
            value={value}
            onChange={(event) => setValue(event.target.value)}
            autoComplete={byToken ? 'off' : 'username'}
            spellCheck={false}
            maxLength={byToken ? undefined : 255}
            // biome-ignore lint/a11y/noAutofocus: the page has nothing else to begin with.
            autoFocus
          />
        </label>
        {problem && (
          <p className="problem" role="alert">
            {problem}
          </p>
        )}
        <button type="submit" className="primary" disabled={busy || value.trim() === ''}>
          {busy ? 'Logging in…' : 'Log in'}
        </button>
        <button
          type="button"
          className="quiet"
          onClick={() => {
            setByToken(!byToken);
            setValue('');
            setProblem(null);
          }}
        >
          {byToken ? 'Log in by name instead' : 'Use a token instead'}
        </button>
      </form>
    </main>
  );
}
