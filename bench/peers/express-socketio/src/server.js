// The peer's entry: reads the environment once, opens Postgres, serves Socket.IO until told to stop.
//
// One process, one core. A team that outgrows it runs one process per core behind any balancer (WebSocket only, so no
// sticky sessions) and adds @socket.io/redis-streams-adapter, which carries every broadcast to the other processes.
// That costs each delta a trip through Redis, so what one process does here is the most that one core of it can do.

import { createServer } from 'node:http';
import express from 'express';
import { Server } from 'socket.io';
import { authenticator } from './auth.js';
import { chat } from './chat.js';
import { Provider } from './provider.js';
import { Store } from './store.js';

const MAX_FRAME_BYTES = 256 * 1024;
/** Sockets that may wait to be accepted: Node's default of 511 refuses some when thousands connect at once. */
const BACKLOG = 4096;

const {
  PORT = '3000',
  DATABASE_URL,
  PROVIDER_URL,
  PROVIDER_KEY,
  PROVIDER_MODEL = 'mock',
  JWT_SECRET,
} = process.env;
if (!DATABASE_URL || !PROVIDER_URL) {
  console.error('DATABASE_URL and PROVIDER_URL must be set');
  process.exit(2);
}

const store = await Store.open(DATABASE_URL);
const provider = new Provider({ url: PROVIDER_URL, key: PROVIDER_KEY, model: PROVIDER_MODEL });

const app = express();
app.disable('x-powered-by');
app.get('/healthz', (_request, response) => response.sendStatus(204));

const http = createServer(app);
const io = new Server(http, {
  transports: ['websocket'],
  allowUpgrades: false,
  serveClient: false,
  // Also the default. Without it the adapter makes a broadcast's WebSocket frame once, not once per socket.
  perMessageDeflate: false,
  maxHttpBufferSize: MAX_FRAME_BYTES,
});
// From Socket.IO's own advice on memory: the upgrade request is of no more use once the socket is open.
io.engine.on('connection', (connection) => {
  connection.request = null;
});
io.use(authenticator(JWT_SECRET));
chat(io, store, provider);

http.listen({ port: Number(PORT), host: '127.0.0.1', backlog: BACKLOG }, () => {
  console.log(`listening on http://127.0.0.1:${http.address().port}`);
});

for (const signal of ['SIGINT', 'SIGTERM']) {
  process.once(signal, async () => {
    await io.close();
    await store.close();
    process.exit(0);
  });
}
