import { expect, test } from 'vitest';
import { type LiveText, splice } from '../src/delta.js';
import { indexOfByte, utf8Length } from '../src/utf8.js';

const ALPHABET = ['a', 'Z', ' ', '\n', 'é', 'ß', '漢', '€', '😀', '👩‍👩‍👧', '\u{10FFFF}'];
const bytesOf = (text: string) => new TextEncoder().encode(text).length;

/** A random source with a seed, so that a failure can be had again. */
function randomness(seed: number) {
  let state = seed;
  const next = () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
  return (below: number) => Math.floor(next() * below);
}

test('lengths and places in bytes', () => {
  for (const text of ['', 'abc', ...ALPHABET, ALPHABET.join('')]) {
    expect(utf8Length(text)).toBe(bytesOf(text));
    let at = 0;
    for (const char of text) {
      expect(indexOfByte(text, bytesOf(text.slice(0, at)))).toBe(at);
      at += char.length;
    }
  }
  expect(indexOfByte('é', 1)).toBe(-1);
  expect(indexOfByte('a', 2)).toBe(-1);
});

test.each(
  Array.from({ length: 200 }, (_, seed) => seed),
)('any split, loss, repeat and cut gives the text (%i)', (seed) => {
  const below = randomness(seed);
  const chars = Array.from({ length: 1 + below(60) }, () =>
    Array.from(ALPHABET[below(ALPHABET.length)] ?? ''),
  );
  const points = chars.flat();
  const text = points.join('');
  const offsetOf = (point: number) => bytesOf(points.slice(0, point).join(''));
  const slice = (from: number, to: number) => ({
    attempt: 2,
    offset: offsetOf(from),
    text: points.slice(from, to).join(''),
  });

  let live: LiveText | undefined = below(2) ? { attempt: 1, text: 'old 漢', bytes: 7 } : undefined;
  let steps = 0;
  while (live?.text !== text || live.attempt !== 2) {
    const from = below(points.length);
    const result = splice(live, slice(from, from + 1 + below(points.length - from)));
    live = result.live;
    expect(text.startsWith(live.text)).toBe(true);
    expect(live.bytes).toBe(bytesOf(live.text));
    // A gap is answered with what follows the bytes that one has, as the server does after a new subscribe.
    if (result.gap && below(2)) {
      const known = Array.from(live.text).length;
      live = splice(live, slice(known, known + below(points.length - known + 1))).live;
    }
    steps += 1;
    expect(steps).toBeLessThan(100_000);
  }
});

test('an older attempt adds nothing, a newer one begins anew', () => {
  const live = { attempt: 2, text: 'new', bytes: 3 };
  expect(splice(live, { attempt: 1, offset: 3, text: 'old' })).toEqual({ live, gap: false });
  expect(splice(live, { attempt: 3, offset: 0, text: 'N' }).live).toEqual({
    attempt: 3,
    text: 'N',
    bytes: 1,
  });
  const missed = splice(live, { attempt: 3, offset: 5, text: 'later' });
  expect(missed).toEqual({ live: { attempt: 3, text: '', bytes: 0 }, gap: true });
});
