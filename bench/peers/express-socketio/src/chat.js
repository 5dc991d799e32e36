// What a socket may do: join a conversation and send to it. What a room hears: messages, deltas, replies.

import { randomUUID } from 'node:crypto';

const MAX_ID_CHARS = 128;

/** A request that the client must not repeat as it is; its message goes to the client. */
class Refused extends Error {}

/** Serves every socket that connects to `io`. */
export function chat(io, store, provider) {
  io.on('connection', (socket) => {
    const { user } = socket.data;

    on(socket, 'join', async ({ conversation }, ack) => {
      checkId(conversation);
      await store.openConversation(conversation);
      await socket.join(roomOf(conversation));
      ack({});
    });

    on(socket, 'send', async ({ conversation, text }, ack) => {
      checkId(conversation);
      if (typeof text !== 'string' || text === '')
        throw new Refused('text must be a string that is not empty');
      if (!socket.rooms.has(roomOf(conversation))) throw new Refused('join the conversation first');
      const id = await store.insertMessage({ conversation, role: 'user', author: user, text });
      io.to(roomOf(conversation)).emit('message', { conversation, id, user, text });
      ack({ id });
      await answer(io, store, provider, { conversation, id });
    });
  });
}

/** Streams the model's answer to message `id` to the room and stores it. */
async function answer(io, store, provider, { conversation, id }) {
  const room = io.to(roomOf(conversation));
  const reply = randomUUID();
  let whole = '';
  try {
    const prompt = await store.promptUpTo(conversation, id);
    await provider.reply(prompt, (text) => {
      // The adapter encodes a packet once for the whole room.
      room.emit('delta', { conversation, reply, offset: whole.length, text });
      whole += text;
    });
    const stored = await store.insertMessage({ conversation, role: 'assistant', text: whole });
    room.emit('reply', { conversation, reply, id: stored, text: whole });
  } catch (error) {
    console.error('reply:', error.message);
    room.emit('failed', { conversation, reply });
  }
}

/** Listens for an event whose handler may refuse it. A client need not ask for an acknowledgement. */
function on(socket, event, handle) {
  socket.on(event, async (...args) => {
    const ack = typeof args.at(-1) === 'function' ? args.pop() : () => {};
    try {
      await handle(args[0] ?? {}, ack);
    } catch (error) {
      if (!(error instanceof Refused)) console.error(`${event}:`, error.message);
      ack({ error: error instanceof Refused ? error.message : 'internal error' });
    }
  });
}

function checkId(conversation) {
  const valid =
    typeof conversation === 'string' && conversation !== '' && conversation.length <= MAX_ID_CHARS;
  if (!valid) throw new Refused(`conversation must be a string of 1 to ${MAX_ID_CHARS} characters`);
}

/** Prefixed, because Socket.IO also keeps a room per socket, named by the socket's id. */
function roomOf(conversation) {
  return `conversation:${conversation}`;
}
