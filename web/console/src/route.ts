// Which conversation shows, in the address, so that a reload comes back to it.

import { useSyncExternalStore } from 'react';

const PATTERN = /^#\/c\/([0-9a-f-]{36})$/i;

export const addressOf = (conversation: string) => `#/c/${conversation}`;

/** The conversation in the address; null for a new chat. */
export function useRoute(): string | null {
  return useSyncExternalStore(subscribe, () => PATTERN.exec(location.hash)?.[1] ?? null);
}

export function open(conversation: string | null): void {
  location.hash = conversation === null ? '#/' : addressOf(conversation);
}

function subscribe(listener: () => void): () => void {
  addEventListener('hashchange', listener);
  return () => removeEventListener('hashchange', listener);
}
