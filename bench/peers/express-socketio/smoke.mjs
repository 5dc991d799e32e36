// Shows that the peer does what README.md says: through its own client, and frame by frame over a raw WebSocket.
//
//   DATABASE_URL=postgres://… npm run smoke
//
// Needs an empty Postgres database. Starts the server and a provider of its own and stops both.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { createInterface } from 'node:readline';
import jwt from 'jsonwebtoken';
import pg from 'pg';
import { io } from 'socket.io-client';
import { WebSocket } from 'ws';

const SECRET = 'smoke';
const WORDS = ['Grüß ', 'dich', ', ', 'Welt', '!'];
const TOKEN = jwt.sign({ sub: 'ann' }, SECRET);

const prompts = [];
const provider = createServer(async (request, response) => {
  let body = '';
  for await (const chunk of request) body += chunk;
  prompts.push(JSON.parse(body).messages);
  response.writeHead(200, { 'content-type': 'text/event-stream' });
  const event = (delta, finish_reason = null) =>
    `data: ${JSON.stringify({ choices: [{ index: 0, delta, finish_reason }] })}\n\n`;
  const bytes = Buffer.from(
    `${event({ role: 'assistant', content: '' })}${WORDS.map((content) => event({ content })).join('')}`,
  );
  // Cuts the stream where it hurts: inside lines and inside characters.
  for (let at = 0; at < bytes.length; at += 7) {
    response.write(bytes.subarray(at, at + 7));
    await new Promise(setImmediate);
  }
  if (prompts.length === 3) return response.destroy();
  response.end(`${event({}, 'stop')}data: [DONE]\n\n`);
});
provider.listen(0, '127.0.0.1');
await once(provider, 'listening');

const server = spawn(process.execPath, ['src/server.js'], {
  cwd: import.meta.dirname,
  env: {
    ...process.env,
    NODE_ENV: 'production',
    PORT: '0',
    PROVIDER_URL: `http://127.0.0.1:${provider.address().port}/v1`,
    JWT_SECRET: SECRET,
  },
  stdio: ['ignore', 'pipe', 'inherit'],
});

try {
  const [line] = await once(createInterface(server.stdout), 'line', { signal: AbortSignal.timeout(10_000) });
  const url = /^listening on (http:\/\/127\.0\.0\.1:\d+)$/.exec(line)?.[1];
  assert.ok(url, line);
  assert.equal((await fetch(`${url}/healthz`)).status, 204);

  const conversation = randomUUID();
  await byItsOwnClient(url, conversation);
  await frameByFrame(url, conversation);
  await storedAll(conversation);
  console.log('ok');
} finally {
  server.kill('SIGTERM');
  const [code] = server.exitCode === null ? await once(server, 'exit') : [server.exitCode];
  assert.equal(code, 0, 'the server stops cleanly');
  provider.close();
  provider.closeAllConnections();
}

async function byItsOwnClient(url, conversation) {
  const stranger = io(url, { transports: ['websocket'], forceNew: true, auth: { token: 'forged' } });
  const [refused] = await heard(stranger, 'connect_error');
  assert.equal(refused.message, 'unauthenticated');
  stranger.close();

  const options = { transports: ['websocket'], forceNew: true, auth: { token: TOKEN } };
  const [ann, tab] = [io(url, options), io(url, options)];
  assert.deepEqual(await ann.emitWithAck('send', { conversation, text: 'hi' }), {
    error: 'join the conversation first',
  });
  for (const socket of [ann, tab]) assert.deepEqual(await socket.emitWithAck('join', { conversation }), {});

  const deltas = [];
  tab.on('delta', (delta) => deltas.push(delta));
  const [message, replied] = [heard(tab, 'message'), heard(tab, 'reply')];
  const { id } = await ann.emitWithAck('send', { conversation, text: 'hi' });
  assert.deepEqual(await message, [{ conversation, id, user: 'ann', text: 'hi' }]);
  const [{ reply, text }] = await replied;
  assert.equal(text, WORDS.join(''));
  assert.deepEqual(
    deltas,
    WORDS.map((word, i) => ({ conversation, reply, offset: WORDS.slice(0, i).join('').length, text: word })),
  );
  ann.close();
  tab.close();
}

async function frameByFrame(url, conversation) {
  const socket = new WebSocket(`${url.replace('http', 'ws')}/socket.io/?EIO=4&transport=websocket`);
  const frames = [];
  socket.on('message', (data, isBinary) => frames.push(isBinary ? data : data.toString()));
  const next = async () => {
    while (frames.length === 0) await once(socket, 'message', { signal: AbortSignal.timeout(40_000) });
    const frame = frames.shift();
    if (process.env.SHOW_FRAMES) console.log('<', frame);
    return frame;
  };
  const say = (frame) => {
    if (process.env.SHOW_FRAMES) console.log('>', frame);
    socket.send(frame);
  };

  assert.match(
    await next(),
    /^0\{"sid":"[\w-]{20}","upgrades":\[\],"pingInterval":25000,"pingTimeout":20000,"maxPayload":262144\}$/,
  );
  say(`40{"token":"${TOKEN}"}`);
  assert.match(await next(), /^40\{"sid":"[\w-]{20}"\}$/);
  say(`420["join",{"conversation":"${conversation}"}]`);
  assert.equal(await next(), '430[{}]');
  say(`421["send",{"conversation":"${conversation}","text":"again"}]`);
  const message = await next();
  const { id } = JSON.parse(message.slice(2))[1];
  assert.equal(
    message,
    `42["message",{"conversation":"${conversation}","id":"${id}","user":"ann","text":"again"}]`,
  );
  assert.equal(await next(), `431[{"id":"${id}"}]`);
  let offset = 0;
  let reply;
  for (const word of WORDS) {
    const delta = await next();
    reply ??= JSON.parse(delta.slice(2))[1].reply;
    assert.equal(
      delta,
      `42["delta",{"conversation":"${conversation}","reply":"${reply}","offset":${offset},"text":"${word}"}]`,
    );
    offset += word.length;
  }
  const ended = await next();
  const { id: stored } = JSON.parse(ended.slice(2))[1];
  assert.equal(
    ended,
    `42["reply",{"conversation":"${conversation}","reply":"${reply}","id":"${stored}","text":"${WORDS.join('')}"}]`,
  );

  // The provider hangs up in the middle of the third reply. No acknowledgement is asked for.
  say(`42["send",{"conversation":"${conversation}","text":"once more"}]`);
  assert.match(await next(), /^42\["message",/);
  let frame = await next();
  while (frame.startsWith('42["delta",')) frame = await next();
  assert.match(frame, /^42\["failed",\{"conversation":"[\w-]{36}","reply":"[\w-]{36}"\}\]$/);

  say('422["send"]');
  assert.equal(await next(), '432[{"error":"conversation must be a string of 1 to 128 characters"}]');
  if (process.env.WAIT_FOR_PING) {
    assert.equal(await next(), '2');
    say('3');
  }
  say('41');
  socket.close();
  await once(socket, 'close');
}

async function storedAll(conversation) {
  const client = new pg.Client({ connectionString: process.env.DATABASE_URL });
  await client.connect();
  const select = 'select role, author, body from messages where conversation = $1 order by id';
  const { rows } = await client.query({ text: select, values: [conversation], rowMode: 'array' });
  await client.end();
  const reply = ['assistant', null, WORDS.join('')];
  assert.deepEqual(rows, [
    ['user', 'ann', 'hi'],
    reply,
    ['user', 'ann', 'again'],
    reply,
    ['user', 'ann', 'once more'],
  ]);
  assert.deepEqual(
    prompts[2],
    rows.map(([role, , content]) => ({ role, content })),
  );
}

/** What an event of a socket carries. */
function heard(socket, event) {
  return new Promise((resolve) => socket.once(event, (...args) => resolve(args)));
}
