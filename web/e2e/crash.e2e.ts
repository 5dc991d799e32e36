// The promise: an answer survives any crash. The server is killed in mid-answer, with its Postgres and its NATS, and
// started again on what it had stored.

import { afterAll, beforeAll, expect, test } from 'vitest';
import { Windows } from './browser.js';
import { letters, newName } from './person.js';
import { Server } from './server.js';

const isOwn = !process.env.BESTCHAT_URL;
const windows = new Windows();
let server: Server | undefined;

beforeAll(async () => {
  // One of its own: the others' must not die.
  if (isOwn) server = await Server.starts();
});
afterAll(() => server?.stops());

test.runIf(isOwn)(
  'a server killed in mid-answer: the answer comes all the same, and nothing is lost',
  async () => {
    if (!server) throw new Error('There is no server.');
    const ann = await windows.arrives(newName('ann'), { url: server.address });
    await ann.say('tell me a story');
    await ann.seesWords(15);
    const chat = await ann.chat();
    await server.isKilled();
    await ann.seesConnection('Reconnecting');
    expect(letters(await ann.seesWords(15))).not.toBe('');

    await ann.page.getByRole('link', { name: 'New chat' }).click();
    await ann.say('instant words while nobody hears');
    await ann.page.getByText('Sending…').waitFor();
    await ann.open(chat);

    await server.startsAgain();
    await ann.seesConnection('Online');
    await ann.answer().getByText('Answering again (attempt 2)…').waitFor();
    const whole = await ann.answerEnds();
    expect(whole).toContain('tell me a story');
    expect(whole).toContain('Use a real model');
    expect(await ann.page.locator('.reply').count()).toBe(1);

    await ann.page.getByRole('link', { name: 'instant words while nobody hears' }).click();
    expect(await ann.answerEnds()).toContain('instant words while nobody hears');
    expect(await ann.page.locator('.message').count()).toBe(2);
  },
);
