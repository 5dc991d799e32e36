// The console in Chromium: what a person must be able to rely on. The demo answers; its commands lead the messages.

import { expect, test } from 'vitest';
import { Windows } from './browser.js';
import { letters, newName } from './person.js';

const windows = new Windows();

/** Each text is the beginning of the whole one. */
function growsInto(texts: string[], whole: string): void {
  const all = whole.replace(/\P{L}+/gu, '');
  for (const text of texts) expect(all.slice(0, letters(text).length)).toBe(letters(text));
}

test('ask, and the answer streams', async () => {
  const ann = await windows.arrives(newName('ann'));
  await ann.say('tell me something');
  const seen = await ann.watchesAnswer();
  expect(seen.length).toBeGreaterThan(10);
  growsInto(seen, await ann.answerEnds());
  await ann.row('tell me something').waitFor();
});

test('reload in mid-answer: the text goes on, nothing missing, nothing twice', async () => {
  const ann = await windows.arrives(newName('ann'));
  await ann.say('long story');
  const kept = await ann.seesWords(20);
  // The text so far is kept for those who join four times a second, in which the demo says about eight words.
  const before = await ann.seesWords(kept.split(/\s+/).length + 40);
  await ann.page.reload();
  const watched = ann.watchesAnswer();
  const count = before.split(/\s+/).length;
  await ann.seesWords(count + 40);
  await ann.stop();
  const seen = await watched;
  expect(seen.length).toBeGreaterThan(3);
  // The page begins with the text that was kept, not with the first word.
  expect(letters(seen.find((text) => text !== '') ?? '')).toContain(letters(kept));
  growsInto([before, ...seen], await ann.answerEnds('stopped'));
});

test('a cut connection in mid-answer: the same', async () => {
  const cuts: (() => Promise<void>)[] = [];
  const context = await windows.context();
  await context.routeWebSocket('**/ws', (socket) => {
    const server = socket.connectToServer();
    cuts.push(async () => {
      await server.close();
      await socket.close();
    });
  });
  const ann = await windows.arrives(newName('ann'), { context });
  await ann.say('long story');
  await ann.seesWords(10);
  const watched = ann.watchesAnswer();
  await cuts.at(-1)?.();
  await expect.poll(() => cuts.length, { timeout: 30_000 }).toBe(2);
  await ann.seesWords(40);
  await cuts.at(-1)?.();
  await expect.poll(() => cuts.length, { timeout: 30_000 }).toBe(3);
  await ann.seesConnection('Online');
  await ann.seesWords(100);
  await ann.stop();
  growsInto(await watched, await ann.answerEnds('stopped'));
});

test('a second window: the list, the text as it streams, and the title', async () => {
  const name = newName('ann');
  const [first, second] = [await windows.arrives(name), await windows.arrives(name)];
  await first.say('long question');
  await second.row('long question').waitFor();
  await second.open(await first.chat());
  await second.seesWords(10);
  expect(await first.answer().getAttribute('data-status')).toBe('running');
  await second.stop();
  const [one, two] = await Promise.all([first.answerEnds('stopped'), second.answerEnds('stopped')]);
  expect(two).toBe(one);
  await second.page.getByRole('button', { name: 'long question' }).click();
  await second.page.locator('.chat-head').getByLabel('Title').fill('Another title');
  await second.page.keyboard.press('Enter');
  await first.row('Another title').waitFor();
  await first.page.locator('.chat-head').getByText('Another title').waitFor();
});

test('stop: it ends, keeps what was said, and one can go on', async () => {
  const ann = await windows.arrives(newName('ann'));
  await ann.say('slow story');
  const before = await ann.seesWords(3);
  await ann.stop();
  expect(letters(await ann.answerEnds('stopped'))).toContain(letters(before));
  await ann.say('instant and now');
  await ann.answer(1).waitFor();
  await ann.answerEnds('completed', 1);
});

test('edit into a branch, and back', async () => {
  const ann = await windows.arrives(newName('ann'));
  await ann.say('instant apples');
  await ann.answerEnds();
  await ann.message('apples').hover();
  await ann.page.getByRole('button', { name: 'Edit the message' }).click();
  await ann.page.getByLabel('Edit the message').fill('instant pears');
  await ann.page.keyboard.press('Enter');
  await ann.message('pears').getByText('2/2').waitFor();
  expect(await ann.message('apples').count()).toBe(0);
  await ann.answer().getByText('instant pears').first().waitFor();
  await ann.answerEnds();
  await ann.isAtEnd();
  await ann.message('pears').getByRole('button', { name: 'The alternative before' }).click();
  await ann.message('apples').getByText('1/2').waitFor();
  await ann.page.reload();
  await ann.message('apples').getByText('1/2').waitFor();
  expect(await ann.answerEnds()).toContain('apples');
});

test('another answer to the same question', async () => {
  const ann = await windows.arrives(newName('ann'));
  await ann.say('instant once more');
  await ann.answerEnds();
  await ann.page.getByRole('button', { name: 'Answer again' }).click();
  await ann.answer().getByText('2/2').waitFor();
  await ann.answerEnds();
  expect(await ann.page.locator('.message.user').count()).toBe(1);
});

test('a failure is said in words, and can be tried again', async () => {
  const ann = await windows.arrives(newName('ann'));
  await ann.say('instant fail, please');
  await ann.answerEnds('failed');
  await ann.answer().getByText('The demo failed because the message told it to.').waitFor();
  await ann.page.getByRole('button', { name: 'Try again' }).click();
  await ann.answer().getByText('2/2').waitFor();
  await ann.answerEnds('failed');
});

test('an answer that breaks off is tried again by itself', async () => {
  const ann = await windows.arrives(newName('ann'));
  await ann.say('instant cut');
  await ann.answer().getByText('Answering again').waitFor();
  await ann.answerEnds('failed');
  await ann.answer().getByText('The demo broke off').waitFor();
});

test('two people do not see each other’s chats, until one is added', async () => {
  const [ann, bob] = [await windows.arrives(newName('ann')), await windows.arrives(newName('bob'))];
  await ann.say('instant secret');
  await ann.answerEnds();
  const chat = await ann.chat();
  await bob.open(chat);
  await bob.page.getByText('There is no such chat').waitFor();
  await bob.page.getByText('No chats yet.').waitFor();
  expect(await bob.page.getByText('instant secret').count()).toBe(0);

  await ann.page.getByRole('button', { name: 'Settings of this chat' }).click();
  await ann.page.getByLabel('User to add').fill(bob.name);
  await ann.page.keyboard.press('Enter');
  await bob.row('instant secret').waitFor();
  await bob.page.reload();
  await bob.message('instant secret').waitFor();
});

test('archive and delete', async () => {
  const name = newName('ann');
  const [first, second] = [await windows.arrives(name), await windows.arrives(name)];
  await first.say('instant chaff');
  await first.answerEnds();
  await second.open(await first.chat());
  await first.row('instant chaff').hover();
  await first.page.getByRole('button', { name: 'Archive instant chaff' }).click();
  await second.page.getByText('This chat is archived.').waitFor();
  await second.page.getByText('No chats yet.').waitFor();
  await first.page.getByRole('button', { name: 'Archived chats' }).click();
  await first.row('instant chaff').hover();
  await first.page.getByRole('button', { name: 'Delete instant chaff' }).click();
  await first.page.getByRole('button', { name: 'Delete', exact: true }).click();
  await second.page.getByText('There is no such chat').waitFor();
  await first.page.getByText('Nothing is archived.').waitFor();
});
