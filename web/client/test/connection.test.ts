import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import type { Command } from './support/fake-server.js';
import { FakeServer } from './support/fake-server.js';
import { CONVERSATION } from './support/frames.js';

let server: FakeServer;
beforeEach(async () => {
  server = await FakeServer.start();
});
afterEach(() => {
  vi.useRealTimers();
  return server.stop();
});

const until = (check: () => unknown, timeout = 10_000) => vi.waitFor(check, { timeout, interval: 5 });
const online = (client: { state: string }) => until(() => expect(client.state).toBe('online'));

test('the first frame is the login', async () => {
  const client = server.connect({ token: () => 'secret' });
  expect(client.state).toBe('connecting');
  await online(client);
  expect(server.received).toEqual([{ type: 'auth', token: 'secret' }]);
  expect(client.getSnapshot().user).toBe('ann');
});

test('after a cut it comes back', async () => {
  const client = server.connect();
  await online(client);
  server.cut();
  await until(() => expect(client.state).not.toBe('online'));
  await online(client);
  expect(server.connections).toBe(2);
});

test('a token is renewed on the same socket before it ends', async () => {
  let count = 0;
  server.onAuth = (_token, peer) => peer.authenticated(count < 2 ? 1.5 : 3_600);
  server.connect({ token: () => `token-${++count}` });
  await until(() => expect(server.of('auth').map(({ token }) => token)).toEqual(['token-1', 'token-2']));
  expect(server.connections).toBe(1);
});

test('a rejected token is replaced by a new one', async () => {
  server.onAuth = (token, peer) => (token === 'good' ? peer.authenticated() : peer.ws.close(4401));
  const client = server.connect({ token: ({ rejected }) => (rejected ? 'good' : 'bad') });
  await online(client);
  expect(server.of('auth').map(({ token }) => token)).toEqual(['bad', 'good']);
});

test('a token that never comes is asked for again', async () => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
  let late: (token: string) => void = () => {};
  const never = new Promise<string>((resolve) => {
    late = resolve;
  });
  let asked = 0;
  const client = server.connect({ token: () => (++asked === 1 ? never : 'second') });
  await vi.advanceTimersByTimeAsync(9_999);
  expect(client.state).toBe('connecting');
  await vi.advanceTimersByTimeAsync(1);
  expect(client.state).toBe('offline');
  await vi.advanceTimersByTimeAsync(1_000);
  vi.useRealTimers();
  late('first');
  await online(client);
  expect(server.of('auth').map(({ token }) => token)).toEqual(['second']);
});

test('three rejected tokens in a row end it, and what waits is refused', async () => {
  server.onAuth = (_token, peer) => peer.ws.close(4401);
  const client = server.connect();
  const waiting = client.command(CONVERSATION, { type: 'ArchiveConversation' });
  await expect(waiting).rejects.toMatchObject({ code: 'closed' });
  expect(client.getSnapshot()).toMatchObject({ state: 'closed', closedReason: 'unauthenticated' });
  expect(server.connections).toBe(3);
  await expect(client.command(CONVERSATION, { type: 'ArchiveConversation' })).rejects.toMatchObject({
    code: 'closed',
  });
});

test('a silent server is left', async () => {
  server.pingMs = 200;
  const client = server.connect();
  await online(client);
  await until(() => expect(server.connections).toBeGreaterThan(1));
  expect(server.of('ping').length).toBeGreaterThan(0);
});

test('a server that answers pings is not left', async () => {
  // Long enough for a machine that is busy with something else.
  server.pingMs = 200;
  server.onFrame = (frame, peer) => frame.type === 'ping' && peer.send({ type: 'pong' });
  const client = server.connect();
  await until(() => expect(server.of('ping').length).toBeGreaterThan(4));
  expect(client.state).toBe('online');
  expect(server.connections).toBe(1);
});

test('a command that was cut off is sent again under its id', async () => {
  const client = server.connect();
  await online(client);
  server.onFrame = () => server.cut();
  const acked = client.command(CONVERSATION, { type: 'RenameConversation', title: 'T' });
  await until(() => expect(server.of('command')).toHaveLength(1));
  server.onFrame = (frame, peer) => peer.ack(frame as Command, 7);
  expect(await acked).toMatchObject({ sequence: 7, position: '0:7' });
  const [first, again] = server.of('command');
  expect(again).toEqual(first);
});

test('commands of one conversation keep their order when one is refused for now', async () => {
  const client = server.connect();
  let refusals = 2;
  server.onFrame = (frame, peer) => {
    const command = frame as Command;
    if (command.command.type === 'StartConversation' && refusals-- > 0)
      peer.refuse(command, 'unavailable', true);
    else peer.ack(command);
  };
  await Promise.all([
    client.command(CONVERSATION, { type: 'StartConversation' }),
    client.command(CONVERSATION, { type: 'SubmitMessage', text: 'hi' }),
  ]);
  const types = server.of('command').map(({ command }) => command.type);
  expect(types).toEqual(['StartConversation', 'StartConversation', 'StartConversation', 'SubmitMessage']);
  expect(new Set(server.of('command').map(({ id }) => id)).size).toBe(2);
});

test('a command that waits for the one before it does not send that one again', async () => {
  const client = server.connect();
  await online(client);
  server.onFrame = (frame, peer) => peer.ack(frame as Command);
  const send = (title: string) => client.command(CONVERSATION, { type: 'RenameConversation', title });
  await Promise.all([send('a'), send('b'), send('c')]);
  expect(server.of('command').map(({ command }) => 'title' in command && command.title)).toEqual([
    'a',
    'b',
    'c',
  ]);
});

test('a refusal is typed, and final when it cannot be retried', async () => {
  const client = server.connect();
  server.onFrame = (frame, peer) => peer.refuse(frame as Command, 'archived', false);
  const refused = client.command(CONVERSATION, { type: 'SubmitMessage', text: 'x' }, { expectedSequence: 4 });
  await expect(refused).rejects.toMatchObject({ name: 'Refused', code: 'archived', retryable: false });
  expect(server.of('command')).toMatchObject([{ expected_sequence: 4 }]);
});

test('a refusal for now is final after the deadline', async () => {
  const client = server.connect({ retryMs: 300 });
  server.onFrame = (frame, peer) => peer.refuse(frame as Command, 'unavailable', true);
  const refused = client.command(CONVERSATION, { type: 'ArchiveConversation' });
  await expect(refused).rejects.toMatchObject({ code: 'unavailable', retryable: true });
  expect(server.of('command').length).toBeGreaterThan(1);
});

test('what waits is bounded, and so is a frame', async () => {
  const client = server.connect({ maxPending: 1 });
  const waiting = client.command(CONVERSATION, { type: 'ArchiveConversation' });
  const tooMany = client.command(CONVERSATION, { type: 'ArchiveConversation' });
  await expect(tooMany).rejects.toMatchObject({ code: 'too_many_pending' });
  client.close();
  await expect(waiting).rejects.toMatchObject({ code: 'closed' });
  const other = server.connect();
  const long = other.command(CONVERSATION, { type: 'SubmitMessage', text: 'é'.repeat(200_000) });
  await expect(long).rejects.toMatchObject({ code: 'frame_too_large', retryable: false });
});

test('the same id twice is one command', async () => {
  const client = server.connect();
  server.onFrame = (frame, peer) => peer.ack(frame as Command);
  const send = () => client.command(CONVERSATION, { type: 'ArchiveConversation' }, { id: 'c-1' });
  const [first, second] = await Promise.all([send(), send()]);
  expect(first).toEqual(second);
  expect(server.of('command')).toHaveLength(1);
});

test('changed conversations are told', async () => {
  const client = server.connect();
  const changes: unknown[] = [];
  client.onConversationChanged((id, row) => changes.push([id, row]));
  await online(client);
  server.send({ type: 'conversation_changed', id: CONVERSATION, conversation: null });
  await until(() => expect(changes).toEqual([[CONVERSATION, null]]));
});
