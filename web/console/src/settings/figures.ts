// Figures as people read and write them.

import type { Limits, UsageFigures } from '@bestchat/client';

const MICROS = 1_000_000;
const count = new Intl.NumberFormat('en-US');

export const inWords = (figure: number) => count.format(figure);

/** Millionths of a US dollar as dollars: in cents, and where it is less than a dollar in hundredths of them. */
export function dollars(micros: number): string {
  const amount = micros / MICROS;
  const digits = amount > 0 && amount < 1 ? 4 : 2;
  if (amount > 0 && amount < 0.0001) return 'under $0.0001';
  return amount.toLocaleString('en-US', {
    style: 'currency',
    currency: 'USD',
    minimumFractionDigits: 2,
    maximumFractionDigits: digits,
  });
}

/** Tokens that went in, and tokens that came out. */
export function tokens({ input, cached_input, cache_write, output, reasoning }: UsageFigures) {
  return { in: input + cached_input + cache_write, out: output + reasoning };
}

/** What a person must know to read the figures rightly; null when they are all there is to it. */
export function caveat({ unpriced, estimated }: UsageFigures): string | null {
  const attempts = (number: number) => (number === 1 ? '1 attempt' : `${inWords(number)} attempts`);
  const said = [
    unpriced > 0 && `The price of ${attempts(unpriced)} is not known and not in the cost.`,
    estimated > 0 && `The tokens of ${attempts(estimated)} are an estimate.`,
  ];
  return said.filter((sentence) => sentence !== false).join(' ') || null;
}

/** The last `days` days up to `today`, as UTC has them. */
export function lastDays(days: number, today: Date): { from: string; to: string } {
  const day = (at: Date) => at.toISOString().slice(0, 10);
  return { from: day(new Date(today.getTime() - (days - 1) * 86_400_000)), to: day(today) };
}

export type LimitName = keyof Limits;
/** Limits as they stand in their fields: money in dollars, nothing for no limit. */
export type LimitFields = Record<LimitName, string>;

const isMoney = (name: LimitName) => name.startsWith('micro_usd');

export function fieldsOf(limits: Limits): LimitFields {
  const field = (name: LimitName) => {
    const limit = limits[name];
    return limit === null ? '' : String(isMoney(name) ? limit / MICROS : limit);
  };
  return Object.fromEntries(NAMES.map((name) => [name, field(name)])) as LimitFields;
}

/** The limits that the fields say; null for a field that says none. */
export function limitsOf(fields: LimitFields): Limits {
  const limit = (name: LimitName) => {
    const value = Number(fields[name]);
    if (fields[name].trim() === '' || Number.isNaN(value)) return null;
    return Math.round(isMoney(name) ? value * MICROS : value);
  };
  return Object.fromEntries(NAMES.map((name) => [name, limit(name)])) as Limits;
}

/** Every limit, and how people call it. */
export const LIMITS: readonly { name: LimitName; label: string }[] = [
  { name: 'micro_usd_per_day', label: 'US dollars a day' },
  { name: 'micro_usd_per_month', label: 'US dollars a month' },
  { name: 'tokens_per_day', label: 'Tokens a day' },
  { name: 'tokens_per_month', label: 'Tokens a month' },
  { name: 'requests_per_minute', label: 'Requests a minute' },
  { name: 'concurrent_replies', label: 'Answers at the same time' },
];
const NAMES = LIMITS.map(({ name }) => name);
