// One socket of the mock: who is there, what it follows, what it is told.

import { randomUUID } from 'node:crypto';
import { Refusal } from './conversation.mjs';
import { userOf } from './server.mjs';

const PAGE = 30;

export class Socket {
  follows = new Set();
  user = undefined;

  constructor(mock, ws) {
    this.mock = mock;
    this.ws = ws;
    this.send({
      type: 'hello',
      protocol: 1,
      session: randomUUID(),
      ping_ms: 25_000,
      max_frame: 262_144,
      auth_ms: 5_000,
    });
    ws.on('message', (data) => this.receive(JSON.parse(String(data))));
  }

  send(frame) {
    if (this.ws.readyState === 1) this.ws.send(JSON.stringify(frame));
  }

  event(conversation, frame) {
    const { id } = conversation.view;
    if (!this.follows.has(id)) return;
    if (conversation.isFor(this.user)) return this.send(frame);
    this.follows.delete(id);
    this.send({ type: 'unsubscribed', conversation: id, reason: 'gone' });
  }

  delta(conversation, delta) {
    const { id } = conversation.view;
    if (this.follows.has(id)) this.send({ type: 'delta', conversation: id, ...delta });
  }

  receive(frame) {
    if (frame.type === 'auth') return this.login(frame.token);
    if (frame.type === 'ping') return this.send({ type: 'pong' });
    if (!this.user) return this.ws.close(4401);
    const { conversation: id } = frame;
    try {
      if (frame.type === 'command') this.send(this.mock.conversation(id).execute(this.user, frame));
      else if (frame.type === 'subscribe') this.subscribe(frame);
      else if (frame.type === 'unsubscribe') this.follows.delete(id);
      else if (frame.type === 'typing') this.typing(id);
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      const { code, message, retryable } = error;
      this.send({ type: 'refused', id: frame.id ?? null, conversation: id, code, message, retryable });
    }
  }

  login(token) {
    this.user = userOf(token);
    if (!this.user) return this.ws.close(4401);
    this.send({ type: 'authenticated', user: this.user, expires_at: Math.floor(Date.now() / 1000) + 3_600 });
  }

  subscribe({ conversation: id, after, replies = [] }) {
    const conversation = this.mock.conversations.get(id);
    if (!conversation?.isFor(this.user)) throw new Refusal('not_found', 'There is no such conversation.');
    const { view, log, messages } = conversation;
    this.follows.add(id);
    const all = [...messages.values()];
    const snapshot = { conversation: view, messages: all.slice(-PAGE), more: all.length > PAGE };
    const isKnown = after !== undefined;
    const sequence = isKnown ? after : view.sequence;
    this.send({ type: 'subscribed', conversation: id, sequence, snapshot: isKnown ? null : snapshot });
    for (const event of log.slice(sequence)) this.send(event);
    this.send({ type: 'live', conversation: id, sequence: view.sequence });
    for (const { id: reply, status } of all) {
      const live = conversation.live?.[reply];
      if (!live || !['running', 'stopping'].includes(status)) continue;
      const cursor = replies.find((it) => it.reply === reply && it.attempt === live.attempt);
      const offset = cursor?.offset ?? 0;
      const text = Buffer.from(live.said).subarray(offset).toString();
      this.send({ type: 'delta', conversation: id, reply, attempt: live.attempt, offset, text });
    }
  }

  typing(id) {
    for (const other of this.mock.sockets) {
      if (other !== this && other.user !== this.user && other.follows.has(id)) {
        other.send({ type: 'typing', conversation: id, user: this.user });
      }
    }
  }
}
