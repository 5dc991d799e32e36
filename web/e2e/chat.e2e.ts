// The console in Chromium against a running server: what a person must be able to rely on.

import type { Browser, BrowserContext } from 'playwright-core';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { launch, newName, Person } from './person.js';

let browser: Browser;
let contexts: BrowserContext[];
let people: Person[];

beforeAll(async () => {
  browser = await launch();
});
afterAll(() => browser.close());
beforeEach(() => {
  contexts = [];
  people = [];
});
afterEach(async () => {
  await Promise.all(contexts.map((context) => context.close()));
  expect(people.flatMap(({ problems }) => problems)).toEqual([]);
});

async function opens(): Promise<BrowserContext> {
  const context = await browser.newContext();
  context.setDefaultTimeout(30_000);
  contexts.push(context);
  return context;
}

async function arrives(name: string, context?: BrowserContext): Promise<Person> {
  const person = await Person.arrives(context ?? (await opens()), name);
  people.push(person);
  return person;
}

/** Each text is the beginning of the whole one; the last word of a frame may be half there. */
function growsInto(texts: string[][], whole: string[]): void {
  for (const text of texts) {
    const sure = text.slice(0, -1);
    expect(whole.slice(0, sure.length)).toEqual(sure);
  }
}

test('ask, and the answer streams', async () => {
  const ann = await arrives(newName('ann'));
  await ann.say('tell me something long');
  const seen = await ann.watchesAnswer();
  expect(seen.length).toBeGreaterThan(10);
  const whole = await ann.answerEnds();
  growsInto(seen, whole);
  await ann.row('tell me something long').waitFor();
});

test('reload in mid-answer: the text goes on, nothing missing, nothing twice', async () => {
  const ann = await arrives(newName('ann'));
  await ann.say('a long story');
  const before = await ann.seesWords(20);
  await ann.page.reload();
  const seen = await ann.watchesAnswer();
  expect(seen.length).toBeGreaterThan(3);
  const whole = await ann.answerEnds();
  growsInto([before, ...seen], whole);
});

test('a cut connection in mid-answer: the same', async () => {
  const cuts: (() => Promise<void>)[] = [];
  const context = await opens();
  await context.routeWebSocket('**/ws', (socket) => {
    const server = socket.connectToServer();
    cuts.push(async () => {
      await server.close();
      await socket.close();
    });
  });
  const ann = await arrives(newName('ann'), context);
  await ann.say('a long story');
  await ann.seesWords(10);
  const watched = ann.watchesAnswer();
  await cuts.at(-1)?.();
  await expect.poll(() => cuts.length).toBe(2);
  await ann.seesWords(40);
  await cuts.at(-1)?.();
  const seen = await watched;
  growsInto(seen, await ann.answerEnds());
  await ann.isOnline();
});

test('a second tab: the list, the text as it streams, and the title', async () => {
  const name = newName('ann');
  const [first, second] = [await arrives(name), await arrives(name)];
  await first.say('one long question');
  await second.row('one long question').waitFor();
  await second.open(await first.chat());
  await second.seesWords(10);
  expect(await first.answer().getAttribute('data-status')).toBe('running');
  const [one, two] = await Promise.all([first.answerEnds(), second.answerEnds()]);
  expect(two).toEqual(one);
  await second.page.getByRole('button', { name: 'one long question' }).click();
  await second.page.locator('.chat-head').getByLabel('Title').fill('Another title');
  await second.page.keyboard.press('Enter');
  await first.row('Another title').waitFor();
  await first.page.locator('.chat-head').getByText('Another title').waitFor();
});

test('stop: it ends, keeps what was said, and one can go on', async () => {
  const ann = await arrives(newName('ann'));
  await ann.say('a long and slow story');
  await ann.seesWords(3);
  await ann.page.getByRole('button', { name: 'Stop the answer' }).click();
  expect((await ann.answerEnds('stopped')).length).toBeGreaterThan(0);
  await ann.say('and now');
  await ann.answer(1).waitFor();
  await ann.answerEnds('completed', 1);
});

test('edit into a branch, and back', async () => {
  const ann = await arrives(newName('ann'));
  await ann.say('apples');
  await ann.answerEnds();
  await ann.message('apples').hover();
  await ann.page.getByRole('button', { name: 'Edit the message' }).click();
  await ann.page.getByLabel('Edit the message').fill('pears');
  await ann.page.keyboard.press('Enter');
  await ann.message('pears').getByText('2/2').waitFor();
  expect(await ann.message('apples').count()).toBe(0);
  await ann.answerEnds();
  await ann.message('pears').getByRole('button', { name: 'The alternative before' }).click();
  await ann.message('apples').getByText('1/2').waitFor();
  await ann.page.reload();
  await ann.message('apples').getByText('1/2').waitFor();
  expect((await ann.answerEnds()).join(' ')).toContain('apples');
});

test('another answer to the same question', async () => {
  const ann = await arrives(newName('ann'));
  await ann.say('once more');
  await ann.answerEnds();
  await ann.page.getByRole('button', { name: 'Answer again' }).click();
  await ann.answer().getByText('2/2').waitFor();
  await ann.answerEnds();
  expect(await ann.page.locator('.message.user').count()).toBe(1);
});

test('a failure is said in words, and can be tried again', async () => {
  const ann = await arrives(newName('ann'));
  await ann.say('please fail');
  await ann.answerEnds('failed');
  await ann.page.getByRole('button', { name: 'Try again' }).click();
  await ann.answer().getByText('2/2').waitFor();
  await ann.answerEnds('failed');
});

test('two people do not see each other’s chats, until one is added', async () => {
  const [ann, bob] = [await arrives(newName('ann')), await arrives(newName('bob'))];
  await ann.say('a secret');
  await ann.answerEnds();
  const chat = await ann.chat();
  await bob.open(chat);
  await bob.page.getByText('There is no such chat').waitFor();
  await bob.page.getByText('No chats yet.').waitFor();
  expect(await bob.page.getByText('a secret').count()).toBe(0);

  await ann.page.getByRole('button', { name: 'Settings of this chat' }).click();
  await ann.page.getByLabel('User to add').fill(bob.name);
  await ann.page.keyboard.press('Enter');
  await bob.row('a secret').waitFor();
  await bob.page.reload();
  await bob.message('a secret').waitFor();
});

test('archive and delete', async () => {
  const name = newName('ann');
  const [first, second] = [await arrives(name), await arrives(name)];
  await first.say('to be put aside');
  await first.answerEnds();
  await second.open(await first.chat());
  await first.row('to be put aside').hover();
  await first.page.getByRole('button', { name: 'Archive to be put aside' }).click();
  await second.page.getByText('This chat is archived.').waitFor();
  await second.page.getByText('No chats yet.').waitFor();
  await first.page.getByRole('button', { name: 'Archived chats' }).click();
  await first.row('to be put aside').hover();
  await first.page.getByRole('button', { name: 'Delete to be put aside' }).click();
  await first.page.getByRole('button', { name: 'Delete', exact: true }).click();
  await second.page.getByText('There is no such chat').waitFor();
  await first.page.getByText('Nothing is archived.').waitFor();
});
