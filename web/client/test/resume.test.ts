// The client against a whole server in memory, with the sockets cut at random.

import { expect, test, vi } from 'vitest';
import { WebSocket } from 'ws';
import { applyEvent, BestChat, branch, emptyState, frameOf, newId, textOf } from '../src/index.js';
import { Mock } from './mock/server.mjs';

test('sockets cut at random: every view ends the same, each message there once', async () => {
  const mock = new Mock({ wordsPerSecond: 300 });
  const address = `ws://127.0.0.1:${await mock.listen()}/ws`;
  const webSocket = WebSocket as unknown as typeof globalThis.WebSocket;
  const connect = () => BestChat.connect(address, { token: () => 'mock.ann', webSocket });
  const [writer, reader] = [connect(), connect()];
  const id = newId();
  await writer.command(id, { type: 'StartConversation' });
  const views = [writer, reader].map((client) => client.subscribe(id, () => {}));
  const cuts = setInterval(() => {
    for (const { ws } of mock.sockets) if (Math.random() < 0.3) ws.terminate();
  }, 40);
  try {
    for (const text of ['one', 'two long', 'three']) {
      await writer.command(id, { type: 'SubmitMessage', text });
      const isOver = () => mock.conversation(id).messages.get(mock.conversation(id).view.active_leaf)?.status;
      await vi.waitFor(() => expect(isOver()).toBe('completed'), { timeout: 15_000, interval: 10 });
    }
  } finally {
    clearInterval(cuts);
  }
  const truth = [...mock.conversation(id).messages.values()].map(({ parts }) => textOf(parts));
  for (const view of views) {
    await vi.waitFor(
      () => {
        const { state } = view.getSnapshot();
        expect(state && branch(state).map(({ parts }) => textOf(parts))).toEqual(truth);
      },
      { timeout: 15_000 },
    );
  }
  // The raw log, folded from its beginning, gives the same as what was followed live.
  const { events } = await reader.rest.events(id, { after: 0, limit: 1_000 });
  const folded = events.map(frameOf).reduce(applyEvent, emptyState(id));
  const followed = views[1]?.getSnapshot().state;
  expect(folded.conversation).toEqual(followed?.conversation);
  expect([...folded.messages.values()]).toEqual([...(followed?.messages.values() ?? [])]);
  writer.close();
  reader.close();
  mock.close();
}, 60_000);
