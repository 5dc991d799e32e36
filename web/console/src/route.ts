// What shows, in the address, so that a reload comes back to it.

import { useMemo, useSyncExternalStore } from 'react';

export type Route = { page: 'new' } | { page: 'chat'; id: string } | { page: 'settings' };

const CHAT = /^#\/c\/([0-9a-f-]{36})$/i;
/** The address of the settings. */
export const SETTINGS = '#/settings';

export const addressOf = (conversation: string) => `#/c/${conversation}`;

/** The page in the address. */
export function useRoute(): Route {
  const hash = useSyncExternalStore(subscribe, () => location.hash);
  return useMemo(() => routeOf(hash), [hash]);
}

/** The page that an address names; any other than those known is a new chat. */
export function routeOf(hash: string): Route {
  const id = CHAT.exec(hash)?.[1];
  if (id !== undefined) return { page: 'chat', id };
  return { page: hash === SETTINGS ? 'settings' : 'new' };
}

export function open(conversation: string | null): void {
  location.hash = conversation === null ? '#/' : addressOf(conversation);
}

function subscribe(listener: () => void): () => void {
  addEventListener('hashchange', listener);
  return () => removeEventListener('hashchange', listener);
}
