// Who is logged in, in this tab: it survives a reload and ends with the tab.

import type { TokenSource } from '@bestchat/client';

export type Session =
  /** The login of a server that runs for development: a name is enough, and new tokens come by themselves. */
  | { kind: 'dev'; user: string; token: string; expires_at: number }
  /** A token from the login of the app that the server stands behind. */
  | { kind: 'token'; token: string };

const KEY = 'bestchat.session';

export function loadSession(): Session | null {
  const stored = sessionStorage.getItem(KEY);
  return stored ? (JSON.parse(stored) as Session) : null;
}

export function storeSession(session: Session | null): void {
  if (session) sessionStorage.setItem(KEY, JSON.stringify(session));
  else sessionStorage.removeItem(KEY);
}

/** Logs in by name; null when the server has no such login. */
export async function devLogin(user: string): Promise<Session | null> {
  const response = await fetch('/api/dev/token', {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ user }),
  });
  if (response.status === 404) return null;
  const body = await response.json().catch(() => null);
  if (!response.ok || !body?.token) {
    throw new Error(body?.error?.message ?? `The server answered with status ${response.status}.`);
  }
  return { kind: 'dev', user, token: body.token, expires_at: body.expires_at };
}

/** Tokens for the client, from a session. */
export function tokensOf(session: Session): TokenSource {
  let current = session;
  return async ({ rejected }) => {
    if (current.kind === 'dev' && (rejected || current.expires_at * 1000 - Date.now() < 120_000)) {
      const renewed = await devLogin(current.user);
      if (renewed) {
        current = renewed;
        storeSession(renewed);
      }
    }
    return current.token;
  };
}
