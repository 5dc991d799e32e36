// What every part of the page works with.

import { type BestChat, Refused } from '@bestchat/client';
import { createContext, useContext } from 'react';
import type { Notices } from './notices';
import type { Outbound } from './outbound';

export interface Console {
  client: BestChat;
  outbound: Outbound;
  notices: Notices;
}

export const ConsoleContext = createContext<Console | null>(null);

export function useConsole(): Console {
  const console = useContext(ConsoleContext);
  if (!console) throw new Error('There is no console around this component.');
  return console;
}

/** Runs what may be refused, and says so if it is. */
export function useAsk(): (asked: Promise<unknown>) => Promise<boolean> {
  const { notices } = useConsole();
  return (asked) =>
    asked.then(
      () => true,
      (error) => {
        notices.show(inWords(error));
        return false;
      },
    );
}

/** Why something was refused, as a sentence. */
export function inWords(error: unknown): string {
  return asSentence(error instanceof Refused ? error.message : 'Something went wrong.');
}

/** A message as a sentence of its own. */
export function asSentence(message: string): string {
  const sentence = message.charAt(0).toUpperCase() + message.slice(1);
  return /[.!?…]$/.test(sentence) ? sentence : `${sentence}.`;
}
