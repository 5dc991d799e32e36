// Commands on their way. Each keeps its id until it is acknowledged or refused, and is sent again under that id after
// every cut: the server answers a repeat with the first result, so that it happens once.

import { backoff } from './backoff.js';
import { newId } from './id.js';
import { Refused } from './refused.js';
import { utf8Length } from './utf8.js';
import type { ClientCommand, ClientFrame, ServerFrame } from './wire.js';

/** The command is durable: the conversation's sequence after it, and its place in the log. */
export interface Ack {
  id: string;
  sequence: number;
  position: string;
}

export interface CommandOptions {
  /** The command's id, to repeat one that an earlier page sent. */
  id?: string;
  /** Refuse unless the conversation's last event has this sequence. */
  expectedSequence?: number;
}

type CommandFrame = Extract<ClientFrame, { type: 'command' }>;

interface Pending {
  frame: CommandFrame;
  promise: Promise<Ack>;
  resolve(ack: Ack): void;
  reject(refused: Refused): void;
  /** Whether it is with the server on this connection, or waits there for its next try. */
  sent: boolean;
  refusals: number;
  /** When a retryable refusal is final; counted from the first one, so that time without a network is not held against it. */
  deadline: number | undefined;
  timer: ReturnType<typeof setTimeout> | undefined;
}

export interface OutboxOptions {
  send(frame: ClientFrame): boolean;
  maxFrame(): number;
  /** The most commands that may wait. */
  maxPending: number;
  /** How long a command that is refused for now is tried again. */
  retryMs: number;
}

export class Outbox {
  readonly #options: OutboxOptions;
  readonly #pending = new Map<string, Pending>();

  constructor(options: OutboxOptions) {
    this.#options = options;
  }

  /** Sends a command now or as soon as there is a connection. Rejects with `Refused`. */
  command(conversation: string, command: ClientCommand, options: CommandOptions): Promise<Ack> {
    const id = options.id ?? newId();
    const known = this.#pending.get(id);
    if (known) return known.promise;
    const expected =
      options.expectedSequence === undefined ? {} : { expected_sequence: options.expectedSequence };
    const frame: CommandFrame = { type: 'command', id, conversation, ...expected, command };
    const refusal = this.#refusal(frame);
    if (refusal) return Promise.reject(refusal);
    const { promise, resolve, reject } = withResolvers<Ack>();
    this.#pending.set(id, {
      frame,
      promise,
      resolve,
      reject,
      sent: false,
      refusals: 0,
      deadline: undefined,
      timer: undefined,
    });
    this.#next(conversation);
    return promise;
  }

  /** Sends what waits; after each log-in. */
  resend(): void {
    for (const pending of this.#pending.values()) pending.sent = false;
    const conversations = new Set(Array.from(this.#pending.values(), ({ frame }) => frame.conversation));
    for (const conversation of conversations) this.#next(conversation);
  }

  /** Takes in an answer; whether it was one to a command that waits here. */
  answer(frame: Extract<ServerFrame, { type: 'ack' | 'refused' }>): boolean {
    const pending = frame.id === null ? undefined : this.#pending.get(frame.id);
    if (!pending) return false;
    if (frame.type === 'ack') {
      const { id, sequence, position } = frame;
      this.#settle(pending, () => pending.resolve({ id, sequence, position }));
    } else if (!frame.retryable || !this.#retry(pending)) {
      this.#settle(pending, () => pending.reject(new Refused(frame)));
    }
    return true;
  }

  /** Gives up on everything that waits. */
  close(refusal: Refused): void {
    for (const pending of [...this.#pending.values()]) {
      this.#pending.delete(pending.frame.id);
      clearTimeout(pending.timer);
      pending.reject(refusal);
    }
  }

  #refusal(frame: CommandFrame): Refused | undefined {
    if (this.#pending.size >= this.#options.maxPending) {
      return new Refused({
        code: 'too_many_pending',
        message: 'Too much is waiting to be sent already.',
        retryable: true,
      });
    }
    if (utf8Length(JSON.stringify(frame)) > this.#options.maxFrame()) {
      return new Refused({
        code: 'frame_too_large',
        message: 'This is too long to be sent.',
        retryable: false,
      });
    }
    return undefined;
  }

  /**
   * Sends the conversation's oldest waiting command. One conversation's commands go one after another, so that one that
   * is tried again is never overtaken by a later one.
   */
  #next(conversation: string): void {
    for (const pending of this.#pending.values()) {
      if (pending.frame.conversation !== conversation) continue;
      if (!pending.sent) {
        clearTimeout(pending.timer);
        pending.sent = this.#options.send(pending.frame);
      }
      return;
    }
  }

  #retry(pending: Pending): boolean {
    pending.deadline ??= Date.now() + this.#options.retryMs;
    const wait = backoff(pending.refusals, 200, 4_000);
    pending.refusals += 1;
    if (Date.now() + wait > pending.deadline) return false;
    pending.timer = setTimeout(() => {
      pending.sent = false;
      this.#next(pending.frame.conversation);
    }, wait);
    return true;
  }

  #settle(pending: Pending, tell: () => void): void {
    this.#pending.delete(pending.frame.id);
    clearTimeout(pending.timer);
    tell();
    this.#next(pending.frame.conversation);
  }
}

function withResolvers<T>() {
  let resolve!: (value: T) => void;
  let reject!: (reason: Refused) => void;
  const promise = new Promise<T>((yes, no) => {
    resolve = yes;
    reject = no;
  });
  return { promise, resolve, reject };
}
