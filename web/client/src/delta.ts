// The text of a running reply, put together from deltas that may overlap, repeat or come from an older attempt.

import { indexOfByte, utf8Length } from './utf8.js';

/** What is known of a running reply's text: of which attempt, and how many bytes of UTF-8 it has. */
export interface LiveText {
  attempt: number;
  text: string;
  bytes: number;
}

/** A piece of an attempt's text, beginning at byte `offset`. */
export interface Delta {
  attempt: number;
  offset: number;
  text: string;
}

/**
 * The text with the delta in it. `gap` means that something between them is missing: ask for the rest, with the
 * returned text as what one has.
 */
export function splice(known: LiveText | undefined, delta: Delta): { live: LiveText; gap: boolean } {
  // A new attempt begins anew: what the attempt before it had said no longer counts.
  const live =
    known && known.attempt >= delta.attempt ? known : { attempt: delta.attempt, text: '', bytes: 0 };
  if (live.attempt > delta.attempt) return { live, gap: false };
  if (delta.offset > live.bytes) return { live, gap: true };
  const bytes = utf8Length(delta.text);
  const overlap = live.bytes - delta.offset;
  if (overlap >= bytes) return { live, gap: false };
  const from = indexOfByte(delta.text, overlap);
  if (from < 0) {
    // The overlap ends inside a character, so the two are not the same text: the server's counts, from its beginning.
    return { live: { attempt: delta.attempt, text: '', bytes: 0 }, gap: true };
  }
  return {
    live: { attempt: live.attempt, text: live.text + delta.text.slice(from), bytes: delta.offset + bytes },
    gap: false,
  };
}
