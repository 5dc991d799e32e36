import { expect, test } from 'vitest';
import { ownModels } from '../src/chat/models';
import { caveat, dollars, fieldsOf, lastDays, limitsOf, tokens } from '../src/settings/figures';
import { configOf, withoutProvider } from '../src/settings/provider';

const NONE = {
  attempts: 0,
  failed: 0,
  input: 0,
  cached_input: 0,
  cache_write: 0,
  output: 0,
  reasoning: 0,
  micro_usd: 0,
  unpriced: 0,
  estimated: 0,
};

test('money', () => {
  expect([0, 1, 100, 4_200, 999_999, 1_000_000, 1_234_567_891].map(dollars)).toEqual([
    '$0.00',
    'under $0.0001',
    '$0.0001',
    '$0.0042',
    '$1.00',
    '$1.00',
    '$1,234.57',
  ]);
});

test('tokens and what is to be known of them', () => {
  const figures = { ...NONE, input: 1, cached_input: 2, cache_write: 4, output: 8, reasoning: 16 };
  expect(tokens(figures)).toEqual({ in: 7, out: 24 });
  expect(caveat(figures)).toBeNull();
  expect(caveat({ ...NONE, unpriced: 1, estimated: 1_200 })).toBe(
    'The price of 1 attempt is not known and not in the cost. The tokens of 1,200 attempts are an estimate.',
  );
});

test('days end with today, across the end of a month', () => {
  expect(lastDays(7, new Date('2026-03-02T23:59:59Z'))).toEqual({ from: '2026-02-24', to: '2026-03-02' });
});

test('limits go into their fields and back', () => {
  const limits = {
    micro_usd_per_day: 1_250_000,
    micro_usd_per_month: null,
    tokens_per_day: 0,
    tokens_per_month: 5_000_000,
    requests_per_minute: null,
    concurrent_replies: 2,
  };
  const fields = fieldsOf(limits);
  expect(fields).toMatchObject({ micro_usd_per_day: '1.25', micro_usd_per_month: '', tokens_per_day: '0' });
  expect(limitsOf(fields)).toEqual(limits);
  expect(limitsOf({ ...fields, micro_usd_per_day: '0.1' }).micro_usd_per_day).toBe(100_000);
});

test('what is left empty of a provider is not said', () => {
  const fields = { name: 'mine', key: ' k ', protocol: '', address: '', models: '\n' };
  expect(configOf(fields, null)).toEqual({ api_key: 'k' });
  const known = {
    provider: 'mine',
    protocol: 'openai-chat',
    base_url: 'https://home.example',
    models: [{ id: 'm1', context_window: 8_000, price: { input: 3, output: 4 } }],
    last_four: 'QRST',
    auth: { header: 'x-mine' },
    max_tokens: true,
    updated_at: '',
  };
  const changed = { ...fields, key: '', protocol: 'openai-chat', models: 'm1\n m2 \nm2\n' };
  expect(configOf(changed, known)).toEqual({
    protocol: 'openai-chat',
    models: [{ id: 'm1', context_window: 8_000, price: { input: 3, output: 4 } }, { id: 'm2' }],
    auth: { header: 'x-mine' },
    max_tokens: true,
  });
  expect(ownModels([known])).toEqual([
    { id: 'mine/m1', label: 'mine/m1', context_window: 8_000, default: false },
  ]);
  expect(withoutProvider('mine', 'mine/a/b')).toBe('a/b');
  expect(withoutProvider('mine', 'm1')).toBe('m1');
});
