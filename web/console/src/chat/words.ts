// How an answer stands, and what a person can do when it fails, in words. docs/protocol.md lists the codes.

import type { Message } from '@bestchat/client';
import { asSentence } from '../console';

const HELP: Record<string, string> = {
  auth: 'Check the key of this provider in the settings, or choose another model.',
  quota: 'Add money or quota at the provider, or choose another model.',
  rate: 'Wait a moment, then try again.',
  overload: 'Try again in a moment, or choose another model.',
  invalid: 'Choose another model, or word the message differently.',
  unknown_model: 'Choose another model at the top of the chat.',
  context_too_long: 'Begin a new chat, or choose a model that can read more.',
  content_filter: 'Word the message differently, or choose another model.',
  network: 'Check the address of this provider in the settings, or try again.',
  timeout: 'Try again, or choose another model.',
  protocol: 'Check the address and the protocol of this provider in the settings.',
  interrupted: 'Try again.',
  worker_lost: 'Try again.',
  limit: 'Wait until the limit is reset, or change your limits in the settings.',
};
const IN_SETTINGS = new Set(['auth', 'quota', 'network', 'protocol', 'limit']);

/** What can be done about an error, and whether the settings are the place for it. */
export function helpAgainst(code: string): { words: string; inSettings: boolean } {
  return { words: HELP[code] ?? 'Try again, or choose another model.', inSettings: IN_SETTINGS.has(code) };
}

/** What there is to say about how the answer stands, beyond its text. */
export function noteOf({ status, attempt, finish, asked, setback }: Message): string | null {
  if (status === 'stopping') return 'Stopping…';
  const why = setback && asSentence(setback.error.message);
  if (status === 'pending' && attempt > 0) {
    return `${why ?? 'That did not work.'} ${setback?.switched ? 'Asking another model…' : 'Answering again…'}`;
  }
  if (status === 'running' && attempt > 1) {
    const instead = setback?.switched && asked;
    const now = `${instead ? `Asking ${asked} instead` : 'Answering again'} (attempt ${attempt})…`;
    return why ? `${why} ${now}` : now;
  }
  if (status === 'stopped') return 'Stopped';
  if (finish === 'length') return 'Ended at the model’s length limit';
  if (finish === 'content_filter') return 'The provider withheld the rest';
  return null;
}

/** What one waits for, when there is nothing to read yet or no more for a while; null when text comes. */
export function waitOf({ status, thinking, liveText = '', attempt }: Message): string | null {
  if (status === 'running' && thinking) return 'Thinking';
  const isFirst = (status === 'running' && attempt <= 1) || (status === 'pending' && attempt === 0);
  return isFirst && liveText === '' ? 'Waiting for the model' : null;
}
