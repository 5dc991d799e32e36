// A BestChat server in memory, to work on the console and to run its browser tests without a backend:
// `npm run mock`, then `npm run dev` or, after `npm run build`, http://127.0.0.1:8080 itself.

import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { extname, join, normalize } from 'node:path';
import { fileURLToPath } from 'node:url';
import { WebSocketServer } from 'ws';
import { Conversation } from './conversation.mjs';
import { answer } from './reply.mjs';
import { Settings } from './settings.mjs';
import { Socket } from './socket.mjs';

const DIST = fileURLToPath(new URL('../../../console/dist', import.meta.url));
const TYPES = { '.html': 'text/html', '.js': 'text/javascript', '.css': 'text/css', '.svg': 'image/svg+xml' };
const CSP = [
  "default-src 'self'; connect-src 'self' ws: wss:; img-src 'self' data:; style-src 'self' 'unsafe-inline'",
  "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; object-src 'none'",
].join('; ');

export class Mock {
  conversations = new Map();
  sockets = new Set();
  settings = new Settings(MODELS);

  constructor({ wordsPerSecond = 30 } = {}) {
    this.wordsPerSecond = wordsPerSecond;
    this.http = createServer((request, response) => {
      this.route(request, response).catch(() => response.writeHead(500).end());
    });
    const wss = new WebSocketServer({ server: this.http, path: '/ws', maxPayload: 256 * 1024 });
    wss.on('connection', (ws) => {
      const socket = new Socket(this, ws);
      this.sockets.add(socket);
      ws.on('close', () => this.sockets.delete(socket));
    });
  }

  listen(port = 0) {
    return new Promise((resolve) =>
      this.http.listen(port, '127.0.0.1', () => resolve(this.http.address().port)),
    );
  }

  close() {
    for (const { ws } of this.sockets) ws.terminate();
    this.http.close();
  }

  conversation(id) {
    const known = this.conversations.get(id);
    if (known) return known;
    const created = new Conversation(id, (...told) => this.told(...told));
    this.conversations.set(id, created);
    return created;
  }

  /** An event was appended: tell the followers and everyone's list, and answer what is to be answered. */
  told(conversation, frame, before) {
    const { id, participants } = conversation.view;
    for (const socket of this.sockets) {
      socket.event(conversation, frame);
      if (conversation.isFor(socket.user)) {
        socket.send({ type: 'conversation_changed', id, conversation: conversation.view });
      } else if (before.includes(socket.user) || participants.includes(socket.user)) {
        socket.send({ type: 'conversation_changed', id, conversation: null });
      }
    }
    if (frame.event.type === 'ReplyRequested') {
      const sendDelta = (delta) => {
        for (const socket of this.sockets) socket.delta(conversation, delta);
      };
      void answer(conversation, frame.event.reply, sendDelta, this.wordsPerSecond);
    }
  }

  async route(request, response) {
    const { pathname, searchParams } = new URL(request.url, 'http://mock');
    const json = (body, status = 200) =>
      response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
    const refuse = (status, code) => json({ error: { code, message: code, retryable: false } }, status);
    if (pathname === '/api/dev/token' && request.method === 'POST') {
      const { user } = JSON.parse(Buffer.concat(await request.toArray()).toString());
      return json({ token: `mock.${user}`, expires_at: Date.now() / 1000 + 3_600 });
    }
    if (!pathname.startsWith('/api/')) return this.file(pathname, response);
    const user = userOf(request.headers.authorization?.replace('Bearer ', ''));
    if (!user) return refuse(401, 'unauthenticated');
    if (pathname === '/api/models') return json({ models: MODELS });
    const told = await this.settings.answer(request, pathname, user);
    if (told) return json(told);
    if (pathname === '/api/conversations') return json(this.list(user, searchParams));
    const [, id, what] = pathname.match(/^\/api\/conversations\/([^/]+)(?:\/(\w+))?$/) ?? [];
    const conversation = this.conversations.get(id);
    if (!conversation?.isFor(user)) return refuse(404, 'not_found');
    if (what === undefined) return json(conversation.view);
    const limit = Number(searchParams.get('limit') ?? 50);
    if (what === 'events') {
      const events = conversation.log.slice(Number(searchParams.get('after') ?? 0));
      return json({ events: events.slice(0, limit).map(logged), more: events.length > limit });
    }
    const before = Number(searchParams.get('before') ?? Infinity);
    const messages = [...conversation.messages.values()]
      .filter(({ sequence }) => sequence < before)
      .reverse();
    return json({ messages: messages.slice(0, limit), more: messages.length > limit });
  }

  list(user, query) {
    const archived = query.get('archived') === 'true';
    const rows = [...this.conversations.values()].filter(
      (it) => it.isFor(user) && it.view.archived === archived,
    );
    const views = rows.map(({ view }) => view).sort((a, b) => (a.updated_at < b.updated_at ? 1 : -1));
    const from = Number(query.get('before') ?? 0);
    const to = from + Number(query.get('limit') ?? 50);
    return { conversations: views.slice(from, to), next: to < views.length ? String(to) : null };
  }

  async file(pathname, response) {
    const path = join(DIST, normalize(pathname === '/' ? '/index.html' : pathname));
    const body = await readFile(path).catch(() => null);
    if (!body) return response.writeHead(404).end();
    const type = TYPES[extname(path)] ?? 'application/octet-stream';
    response.writeHead(200, { 'content-type': type, 'content-security-policy': CSP }).end(body);
  }
}

const logged = ({ sequence, position, actor, at, event }) => ({
  sequence,
  position,
  event_id: `${sequence}`,
  event_type: event.type,
  event_version: '1.0',
  recorded_at: at,
  metadata: { actor },
  payload: event,
});

export const userOf = (token) => (token?.startsWith('mock.') ? token.slice(5) : undefined);

const MODELS = [
  { id: 'demo/echo', label: 'Echo (not a model)', context_window: 128_000, default: true },
  { id: 'demo/other', label: 'Echo, second voice', context_window: 8_000, default: false },
];

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const port = await new Mock().listen(Number(process.env.PORT ?? 8080));
  console.log(`mock at http://127.0.0.1:${port}`);
}
