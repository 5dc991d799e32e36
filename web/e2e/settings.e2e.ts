// What people set for themselves, and what they used.

import type { Locator } from 'playwright-core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Windows } from './browser.js';
import { newName, type Person } from './person.js';
import { ANSWER, Provider } from './provider.js';

const KEY = 'sk-0123456789-abcdef-QRST';
/** A server that runs elsewhere need not reach a provider of this machine. */
const isOwn = !process.env.BESTCHAT_URL;
const windows = new Windows();
let provider: Provider;

beforeAll(async () => {
  provider = await Provider.starts(KEY);
});
afterAll(() => provider.stops());

async function settingsOf(person: Person): Promise<void> {
  await person.page.getByRole('link', { name: 'Settings and usage' }).click();
  await person.page.getByRole('heading', { name: 'Usage' }).waitFor();
}

function card({ page }: Person): Locator {
  return page.locator('.card').filter({ hasText: 'mine' });
}

async function addsProvider({ page }: Person): Promise<void> {
  await page.getByRole('button', { name: 'Add a provider' }).click();
  const form = page.locator('.provider-form');
  await form.getByLabel('Provider').selectOption('Another one…');
  await form.getByLabel('Name').fill('mine');
  await form.getByLabel('API key').fill(KEY);
  await form.getByLabel('Address').fill(provider.address);
  await form.getByLabel('Protocol').selectOption('openai-chat');
  await form.getByLabel('Models, one a line').fill('m1');
  await form.getByRole('button', { name: 'Save' }).click();
}

test('a key is saved, and only its last four characters come back', async () => {
  const ann = await windows.arrives(newName('ann'));
  await settingsOf(ann);
  await ann.page.getByText('You have no provider yet.').waitFor();
  await addsProvider(ann);
  await card(ann).getByText('Key ends in QRST').waitFor();
  await ann.page.reload();
  await card(ann).getByText('Key ends in QRST').waitFor();
  expect(await ann.page.content()).not.toContain(KEY);

  await card(ann).getByRole('button', { name: 'Remove mine' }).click();
  await ann.page.getByRole('dialog').getByRole('button', { name: 'Remove' }).click();
  await ann.page.getByText('You have no provider yet.').waitFor();
});

test('what is wrong with a provider is said where it is written', async () => {
  const ann = await windows.arrives(newName('ann'));
  await settingsOf(ann);
  await addsProvider(ann);
  await card(ann).getByRole('button', { name: 'Change mine' }).click();
  const form = ann.page.locator('.provider-form');
  // A key is given to the address that it was saved for, and to no other.
  await form.getByLabel('Address').fill('https://elsewhere.example/v1');
  await form.getByRole('button', { name: 'Save' }).click();
  await form.getByRole('alert').filter({ hasText: 'key' }).waitFor();
  await form.getByRole('button', { name: 'Cancel' }).click();
  await card(ann).getByText(provider.address).waitFor();
});

test.runIf(isOwn)('a provider is tried out, answers, and is accounted for', async () => {
  const ann = await windows.arrives(newName('ann'));
  await settingsOf(ann);
  await addsProvider(ann);
  await card(ann).getByRole('button', { name: 'Test mine' }).click();
  await card(ann).getByText('It works: m1 answered').waitFor();

  await ann.page.getByRole('region', { name: 'Default model' }).getByLabel('Provider').selectOption('mine');
  await ann.page.getByRole('button', { name: 'Save the default' }).click();
  await ann.page.getByRole('button', { name: 'Save the default', disabled: true }).waitFor();
  await ann.page.getByRole('link', { name: 'New chat' }).click();
  await ann.say('Why are there tides?');
  expect((await ann.answerEnds()).trim()).toBe(ANSWER);
  await settingsOf(ann);
  const row = ann.page.getByRole('row').filter({ hasText: 'mine/m1' });
  await row.getByRole('cell', { name: '120' }).waitFor();
  await row.getByRole('cell', { name: '34' }).waitFor();

  await ann.page.getByRole('link', { name: 'New chat' }).click();
  await ann.say('Think: why are there tides?');
  await ann.answer().getByText('Thinking').waitFor();
  provider.speaks();
  expect((await ann.answerEnds()).trim()).toBe(ANSWER);
  await settingsOf(ann);
  await row.getByRole('cell', { name: '240' }).waitFor();

  await card(ann).getByRole('button', { name: 'Change mine' }).click();
  await ann.page.locator('.provider-form').getByLabel('API key').fill('sk-wrong-0123456789-WXYZ');
  await ann.page.locator('.provider-form').getByRole('button', { name: 'Save' }).click();
  await card(ann).getByText('Key ends in WXYZ').waitFor();
  await card(ann).getByRole('button', { name: 'Test mine' }).click();
  await card(ann).getByText('Check the key of this provider').waitFor();
});

test('limits are kept, and a reply is counted', async () => {
  const ann = await windows.arrives(newName('ann'));
  await ann.say('instant hello');
  await ann.answerEnds();
  await settingsOf(ann);
  const usage = ann.page.getByRole('region', { name: 'Usage' });
  await usage.getByRole('row').filter({ hasText: 'demo/echo' }).waitFor();
  await usage.getByText('The price of 1 attempt is not known').waitFor();

  const limits = ann.page.getByRole('region', { name: 'Limits' });
  await limits.getByLabel('US dollars a day').fill('1.25');
  await limits.getByLabel('Answers at the same time').fill('2');
  await limits.getByRole('button', { name: 'Save the limits' }).click();
  await limits.getByRole('button', { name: 'Save the limits', disabled: true }).waitFor();
  await ann.page.reload();
  await expect.poll(() => limits.getByLabel('US dollars a day').inputValue()).toBe('1.25');
  expect(await limits.getByLabel('Answers at the same time').inputValue()).toBe('2');
  expect(await limits.getByLabel('Tokens a day').inputValue()).toBe('');
});
