// A client of one BestChat server: one socket for any number of conversations.

import { type ClosedReason, Connection, type ConnectionState } from './connection.js';
import { type ConversationSnapshot, Follow } from './follow.js';
import { ConversationList } from './list.js';
import { type Ack, type CommandOptions, Outbox } from './outbox.js';
import { Refused } from './refused.js';
import { Rest, type TokenSource } from './rest.js';
import type { ClientCommand, ConversationView, ServerFrame } from './wire.js';

export interface BestChatOptions {
  /** Gives a JWT; called before each log-in and before the last one ends, so it may hand out one that it keeps. */
  token: TokenSource;
  /** The server's address for reads over HTTP, if it is not the socket's. */
  api?: string;
  /** The socket's class, where the platform has none. */
  webSocket?: typeof WebSocket;
  /** The most commands that may wait for an answer. */
  maxPending?: number;
  /** How long a command that is refused for now is tried again, in milliseconds. */
  retryMs?: number;
}

/** What a page shows of the connection. */
export interface ClientSnapshot {
  readonly state: ConnectionState;
  /** Who the server says one is; null before the first log-in. */
  readonly user: string | null;
  /** Why it closed for good, if it did. */
  readonly closedReason: ClosedReason | undefined;
}

/** A followed conversation: `getSnapshot` is what it looks like now. */
export interface Subscription {
  getSnapshot(): ConversationSnapshot;
  loadOlder(): Promise<void>;
  unsubscribe(): void;
}

export class BestChat {
  /** The reads over HTTP. */
  readonly rest: Rest;
  readonly #connection: Connection;
  readonly #outbox: Outbox;
  readonly #follows = new Map<string, Follow>();
  readonly #lists = new Map<boolean, ConversationList>();
  readonly #listeners = new Set<() => void>();
  readonly #changeListeners = new Set<(id: string, row: ConversationView | null) => void>();
  readonly #typedAt = new Map<string, number>();
  #view: ClientSnapshot = { state: 'offline', user: null, closedReason: undefined };

  private constructor(address: string, options: BestChatOptions) {
    const url = socketUrl(address);
    this.rest = new Rest(options.api ?? httpOrigin(url), options.token);
    this.#outbox = new Outbox({
      send: (frame) => this.#connection.send(frame),
      maxFrame: () => this.#connection.maxFrame,
      maxPending: options.maxPending ?? 256,
      retryMs: options.retryMs ?? 30_000,
    });
    this.#connection = new Connection({
      url,
      token: options.token,
      webSocket: options.webSocket ?? WebSocket,
      onState: (state) => this.#stateChanged(state),
      onOnline: () => this.#online(),
      onFrame: (frame) => this.#receive(frame),
    });
  }

  /** Connects to the socket at `url` (`wss://…/ws`, or a path on the page's own server) and stays connected. */
  static connect(url: string, options: BestChatOptions): BestChat {
    return new BestChat(url, options);
  }

  get state(): ConnectionState {
    return this.#view.state;
  }

  readonly getSnapshot = (): ClientSnapshot => this.#view;

  /** Calls `listener` when the connection's state or user changed. */
  readonly onChange = (listener: () => void): (() => void) => {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  };

  /** Calls `listener` for each conversation of one's list that is new or changed; null when it left the list. */
  onConversationChanged(listener: (id: string, row: ConversationView | null) => void): () => void {
    this.#changeListeners.add(listener);
    return () => this.#changeListeners.delete(listener);
  }

  /**
   * Asks for something to happen. Resolves once it is durable; rejects with `Refused`. It is sent again after a cut,
   * under the same id, until it is answered: it happens once.
   */
  command(conversation: string, command: ClientCommand, options: CommandOptions = {}): Promise<Ack> {
    if (this.#view.state === 'closed') return Promise.reject(closedRefusal());
    return this.#outbox.command(conversation, command, options);
  }

  /** The store of a conversation: followed from its first listener on, and a little longer than its last. */
  conversation(id: string): Follow {
    const known = this.#follows.get(id);
    if (known) return known;
    const follow = new Follow({
      id,
      send: (frame) => this.#connection.send(frame),
      older: (page) => this.rest.messages(id, { ...page, limit: 50 }),
    });
    this.#follows.set(id, follow);
    return follow;
  }

  /** Follows a conversation and calls `listener` after each change. */
  subscribe(id: string, listener: (snapshot: ConversationSnapshot) => void): Subscription {
    const follow = this.conversation(id);
    const unsubscribe = follow.subscribe(() => listener(follow.getSnapshot()));
    return { getSnapshot: follow.getSnapshot, loadOlder: () => follow.loadOlder(), unsubscribe };
  }

  /** The store of the conversations list. */
  conversations({ archived = false }: { archived?: boolean } = {}): ConversationList {
    const known = this.#lists.get(archived);
    if (known) return known;
    const list = new ConversationList({ archived, rest: this.rest, isOnline: () => this.state === 'online' });
    this.#lists.set(archived, list);
    return list;
  }

  /** Tells the others that one is typing; call it at each keystroke, it sends at most one in three seconds. */
  typing(conversation: string): void {
    const now = Date.now();
    if (now - (this.#typedAt.get(conversation) ?? 0) < 3_000) return;
    if (this.#connection.send({ type: 'typing', conversation })) this.#typedAt.set(conversation, now);
  }

  /** Ends the connection for good; what still waits is rejected. */
  close(): void {
    this.#connection.close();
  }

  #online(): void {
    for (const follow of this.#follows.values()) follow.online();
    this.#outbox.resend();
    for (const list of this.#lists.values()) list.online();
  }

  #stateChanged(state: ConnectionState): void {
    if (state !== 'online') for (const follow of this.#follows.values()) follow.offline();
    if (state === 'closed') {
      this.#outbox.close(closedRefusal());
      for (const closing of [...this.#follows.values(), ...this.#lists.values()]) closing.close();
    }
    this.#show({ state, closedReason: this.#connection?.closedReason });
  }

  #receive(frame: ServerFrame): void {
    if (frame.type === 'authenticated') this.#show({ user: frame.user });
    else if (frame.type === 'conversation_changed') this.#listChanged(frame.id, frame.conversation);
    else if (frame.type === 'ack') this.#outbox.answer(frame);
    else if (frame.type === 'refused' && frame.id !== null) this.#outbox.answer(frame);
    else if ('conversation' in frame && frame.conversation !== null) {
      this.#follows.get(frame.conversation)?.receive(frame);
    }
  }

  #listChanged(id: string, row: ConversationView | null): void {
    for (const list of this.#lists.values()) list.changed(id, row);
    for (const listener of [...this.#changeListeners]) listener(id, row);
  }

  #show(change: Partial<ClientSnapshot>): void {
    this.#view = { ...this.#view, ...change };
    for (const listener of [...this.#listeners]) listener();
  }
}

function closedRefusal(): Refused {
  return new Refused({ code: 'closed', message: 'The connection is closed.', retryable: false });
}

/** The socket's full address; a path alone means the page's own server. */
function socketUrl(url: string): string {
  if (/^wss?:/.test(url)) return url;
  return new URL(url, location.href).href.replace(/^http/, 'ws');
}

function httpOrigin(url: string): string {
  return new URL(url.replace(/^ws/, 'http')).origin;
}
