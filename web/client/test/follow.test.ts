import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { FakeServer } from './support/fake-server.js';
import { CONVERSATION, delta, event, live, message, reply, subscribed } from './support/frames.js';

let server: FakeServer;
beforeEach(async () => {
  server = await FakeServer.start();
});
afterEach(() => server.stop());

const until = (check: () => unknown) => vi.waitFor(check, { timeout: 10_000, interval: 5 });
const renamed = (sequence: number, title = `t${sequence}`) =>
  event(sequence, { type: 'ConversationRenamed', title });
const begun = (sequence: number, attempt: number) =>
  event(sequence, { type: 'ReplyAttemptStarted', reply: 'r1', attempt, worker: 'w', lease_ms: 1 });
const running = [message('m1'), reply('r1', { parent: 'm1', status: 'running', attempt: 1, sequence: 3 })];

/** A client that follows the conversation, and has had the snapshot at `sequence`. */
async function following(sequence: number, messages = [message('m1')]) {
  server.onFrame = (frame, peer) => {
    if (frame.type !== 'subscribe' || frame.after !== undefined) return;
    peer.send(subscribed(sequence, messages));
    peer.send(live(sequence));
  };
  const client = server.connect();
  const titles: (string | null | undefined)[] = [];
  const subscription = client.subscribe(CONVERSATION, ({ state }) => titles.push(state?.conversation.title));
  const state = () => subscription.getSnapshot().state;
  await until(() => expect(state()?.live).toBe(true));
  return { client, subscription, state, titles, text: () => state()?.messages.get('r1')?.liveText };
}

test('snapshot, then news', async () => {
  const { state } = await following(4);
  expect(state()).toMatchObject({ sequence: 4, more: false, gone: false });
  server.send(renamed(5));
  await until(() => expect(state()?.conversation.title).toBe('t5'));
  expect(state()?.sequence).toBe(5);
});

test('after a cut it goes on from what it has', async () => {
  const { state } = await following(4, running);
  server.send(delta('r1', 1, 0, 'né'));
  await until(() => expect(state()?.messages.get('r1')?.liveText).toBe('né'));
  server.cut();
  await until(() => expect(state()?.live).toBe(false));
  await until(() => expect(server.of('subscribe')).toHaveLength(2));
  const cursor = { reply: 'r1', attempt: 1, offset: 3 };
  expect(server.of('subscribe')[1]).toMatchObject({ after: 4, replies: [cursor] });
  server.send(subscribed(4, null));
  server.send(renamed(5));
  server.send(delta('r1', 1, 3, 'e'));
  server.send(live(5));
  await until(() => expect(state()).toMatchObject({ live: true, sequence: 5 }));
  expect(state()?.messages.get('r1')?.liveText).toBe('née');
});

test('a repeated event is dropped', async () => {
  const { state, titles } = await following(4);
  for (const sequence of [5, 5, 4, 6]) server.send(renamed(sequence));
  await until(() => expect(state()?.sequence).toBe(6));
  expect(titles.filter(Boolean)).toEqual(['t5', 't6']);
  expect(server.of('subscribe')).toHaveLength(1);
});

test('a gap is asked for once', async () => {
  const { state } = await following(4);
  for (const sequence of [7, 8, 9]) server.send(renamed(sequence));
  await until(() => expect(server.of('subscribe')).toHaveLength(2));
  expect(server.of('subscribe')[1]).toMatchObject({ after: 4 });
  server.send(subscribed(4, null));
  for (const sequence of [5, 6, 7, 8, 9]) server.send(renamed(sequence));
  server.send(live(9));
  await until(() => expect(state()).toMatchObject({ sequence: 9, live: true }));
  // Long enough for a second question, had one been put off.
  await new Promise((resolve) => setTimeout(resolve, 600));
  expect(server.of('subscribe')).toHaveLength(2);
});

test('a server that says it is live further on than it told is asked again', async () => {
  await following(4);
  server.send(live(6));
  await until(() => expect(server.of('subscribe')[1]).toMatchObject({ after: 4 }));
});

test('deltas: overlap, repeat, gap', async () => {
  const { text } = await following(4, running);
  for (const [offset, said] of [
    [0, 'ab'],
    [1, 'bc'],
    [0, 'a'],
    [3, '漢'],
  ] as const) {
    server.send(delta('r1', 1, offset, said));
  }
  await until(() => expect(text()).toBe('abc漢'));
  server.send(delta('r1', 1, 9, 'x'));
  await until(() => expect(server.of('subscribe')).toHaveLength(2));
  expect(server.of('subscribe')[1]?.replies).toEqual([{ reply: 'r1', attempt: 1, offset: 6 }]);
});

test('a sign of life says that the model thinks, until it says something', async () => {
  const { state, text } = await following(4, running);
  const sign = (attempt: number) => Object.assign(delta('r1', attempt, 0, ''), { thinking: true });
  server.send(delta('r1', 1, 0, 'ab'));
  server.send(sign(1));
  await until(() => expect(state()?.messages.get('r1')?.thinking).toBe(true));
  expect(text()).toBe('ab');
  server.send(delta('r1', 1, 2, 'c'));
  await until(() => expect(text()).toBe('abc'));
  expect(state()?.messages.get('r1')).not.toHaveProperty('thinking');
  server.send(sign(2));
  server.send(renamed(5));
  await until(() => expect(state()?.sequence).toBe(5));
  expect(state()?.messages.get('r1')).not.toHaveProperty('thinking');
  expect(server.of('subscribe')).toHaveLength(1);
});

test('a new attempt replaces the text, whichever of event and delta comes first', async () => {
  const { text } = await following(4, running);
  server.send(delta('r1', 1, 0, 'first'));
  server.send(delta('r1', 2, 0, 'sec'));
  server.send(delta('r1', 1, 5, ' late'));
  server.send(begun(5, 2));
  server.send(delta('r1', 2, 3, 'ond'));
  await until(() => expect(text()).toBe('second'));
});

test('the text of an attempt that failed does not show in the next one', async () => {
  const { state, text } = await following(4, running);
  server.send(delta('r1', 1, 0, 'first'));
  const error = { code: 'overload', message: 'busy' };
  server.send(event(5, { type: 'ReplyAttemptFailed', reply: 'r1', attempt: 1, error }));
  await until(() => expect(state()?.messages.get('r1')?.status).toBe('pending'));
  expect(text()).toBe('first');
  server.send(begun(6, 2));
  await until(() => expect(state()?.messages.get('r1')).toMatchObject({ status: 'running', attempt: 2 }));
  expect(text()).toBeUndefined();
});

test('a delta after the end adds nothing', async () => {
  const { state, text } = await following(4, running);
  server.send(delta('r1', 1, 0, 'partial'));
  const parts = [{ type: 'text' as const, text: 'whole' }];
  server.send(event(5, { type: 'ReplyStopped', reply: 'r1', attempt: 1, parts }));
  server.send(delta('r1', 1, 7, ' more'));
  server.send(renamed(6));
  await until(() => expect(state()?.sequence).toBe(6));
  expect(text()).toBeUndefined();
  expect(state()?.messages.get('r1')).toMatchObject({ status: 'stopped', parts });
  expect(server.of('subscribe')).toHaveLength(1);
});

test('a conversation that is gone says so, and is not asked for again', async () => {
  const { state, subscription } = await following(4);
  server.send({ type: 'unsubscribed', conversation: CONVERSATION, reason: 'gone' });
  await until(() => expect(subscription.getSnapshot().problem?.code).toBe('gone'));
  expect(state()).toMatchObject({ gone: true, live: false });
  server.cut();
  await until(() => expect(server.of('auth')).toHaveLength(2));
  expect(server.of('subscribe')).toHaveLength(1);
});

test('a subscribe that is refused for now is tried again, one refused for good is a problem', async () => {
  const refusals = [true, false];
  server.onFrame = (frame, peer) => {
    const retryable = refusals.shift();
    if (frame.type !== 'subscribe' || retryable === undefined) return;
    const code = retryable ? 'unavailable' : 'not_found';
    peer.send({
      type: 'refused',
      id: null,
      conversation: frame.conversation,
      code,
      message: code,
      retryable,
    });
  };
  const subscription = server.connect().subscribe(CONVERSATION, () => {});
  await until(() => expect(subscription.getSnapshot().problem?.code).toBe('not_found'));
  expect(server.of('subscribe')).toHaveLength(2);
});

test('who types shows until they have said it', async () => {
  const { subscription } = await following(4);
  server.send({ type: 'typing', conversation: CONVERSATION, user: 'bob' });
  await until(() => expect(subscription.getSnapshot().typing).toEqual(['bob']));
  server.send(
    event(5, {
      type: 'MessageSubmitted',
      message: 'm2',
      parent: 'm1',
      author: 'bob',
      parts: [],
      edit_of: null,
    }),
  );
  await until(() => expect(subscription.getSnapshot().typing).toEqual([]));
});
