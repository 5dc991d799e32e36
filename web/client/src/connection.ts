// One socket at a time, kept open: log in, refresh the token, notice silence, come back after a cut.
//
// It knows nothing of conversations. Whoever uses it gets `onOnline` after each log-in and must then say again what
// the server has to know, because the server forgets everything with the socket.

import { backoff } from './backoff.js';
import { Heartbeat } from './heartbeat.js';
import { Renewal } from './renewal.js';
import type { TokenSource } from './rest.js';
import type { ClientFrame, ServerFrame } from './wire.js';

/** `offline` waits before the next try; `closed` does not try any more. */
export type ConnectionState = 'connecting' | 'online' | 'offline' | 'closed';

/** Why a connection closed for good. */
export type ClosedReason = 'asked' | 'unauthenticated' | 'protocol';

export interface ConnectionOptions {
  url: string;
  token: TokenSource;
  webSocket: typeof WebSocket;
  onState(state: ConnectionState): void;
  onOnline(): void;
  onFrame(frame: ServerFrame): void;
}

const PROTOCOL = 1;
const BACKOFF_BASE_MS = 400;
const BACKOFF_CAP_MS = 15_000;
/** The longest pause after a restart; the server has spread the closings already. */
const RESTART_PAUSE_MS = 500;
/** How long a token may take, and then the log-in with it. */
const LOGIN_MS = 10_000;
/** A socket that lasted this long was a good one: the next cut is retried quickly again. */
const STEADY_MS = 10_000;
const STRIKES = 3;

export class Connection {
  readonly #options: ConnectionOptions;
  #socket: WebSocket | undefined;
  #state: ConnectionState = 'offline';
  #closedReason: ClosedReason | undefined;
  #tries = 0;
  #authStrikes = 0;
  #protocolStrikes = 0;
  #rejected = false;
  #pingMs = 25_000;
  #maxFrame = 256 * 1024;
  #timers: { retry?: Timer; login?: Timer; steady?: Timer } = {};
  readonly #heartbeat = new Heartbeat({
    ping: () => this.#write({ type: 'ping' }),
    dead: () => this.#retry(0),
  });
  readonly #renewal = new Renewal(() => this.#renew());
  #generation = 0;

  constructor(options: ConnectionOptions) {
    this.#options = options;
    this.#listen('addEventListener');
    void this.#open();
  }

  get state(): ConnectionState {
    return this.#state;
  }

  /** Why it closed for good, if it did. */
  get closedReason(): ClosedReason | undefined {
    return this.#closedReason;
  }

  /** The largest frame that the server accepts, in bytes. */
  get maxFrame(): number {
    return this.#maxFrame;
  }

  /** Sends the frame if one is logged in; whether it did. */
  send(frame: ClientFrame): boolean {
    if (this.#state !== 'online') return false;
    return this.#write(frame);
  }

  /** Closes for good. */
  close(reason: ClosedReason = 'asked'): void {
    if (this.#state === 'closed') return;
    this.#closedReason = reason;
    this.#listen('removeEventListener');
    this.#drop();
    this.#enter('closed');
  }

  async #open(): Promise<void> {
    this.#drop();
    this.#enter('connecting');
    const generation = this.#generation;
    this.#limitLogin();
    try {
      const token = await this.#options.token({ rejected: this.#rejected });
      if (generation !== this.#generation) return;
      this.#dial(token);
    } catch {
      if (generation === this.#generation) this.#retry();
    }
  }

  #dial(token: string): void {
    const socket = new this.#options.webSocket(this.#options.url);
    this.#socket = socket;
    socket.onopen = () => this.#write({ type: 'auth', token });
    socket.onmessage = ({ data }) => this.#hear(String(data));
    // What an error means is said by the close that follows it.
    socket.onerror = () => {};
    socket.onclose = ({ code }) => this.#lost(code);
    this.#limitLogin();
  }

  /** Neither a token nor a log-in is waited for without end: whoever should answer may never do so. */
  #limitLogin(): void {
    clearTimeout(this.#timers.login);
    this.#timers.login = setTimeout(() => this.#retry(), LOGIN_MS);
  }

  #hear(data: string): void {
    this.#heartbeat.heard();
    const frame = JSON.parse(data) as ServerFrame;
    if (frame.type === 'hello') {
      if (frame.protocol !== PROTOCOL) return this.close('protocol');
      this.#pingMs = frame.ping_ms;
      this.#maxFrame = frame.max_frame;
    } else if (frame.type === 'authenticated') {
      this.#authenticated(frame.expires_at);
    }
    this.#options.onFrame(frame);
  }

  #authenticated(expiresAt: number): void {
    this.#rejected = false;
    this.#authStrikes = 0;
    this.#renewal.schedule(expiresAt * 1000 - Date.now());
    if (this.#state === 'online') return;
    clearTimeout(this.#timers.login);
    this.#heartbeat.start(this.#pingMs);
    this.#timers.steady = setTimeout(() => {
      this.#tries = 0;
      this.#protocolStrikes = 0;
    }, STEADY_MS);
    this.#enter('online');
    this.#options.onOnline();
  }

  async #renew(): Promise<void> {
    const generation = this.#generation;
    const token = await this.#options.token({ rejected: false });
    if (generation === this.#generation) this.#write({ type: 'auth', token });
  }

  #lost(code: number): void {
    if (code === 4401 && this.#state !== 'online') this.#authStrikes += 1;
    if (code === 4400 || code === 1009) this.#protocolStrikes += 1;
    this.#rejected = code === 4401;
    if (this.#authStrikes >= STRIKES) return this.close('unauthenticated');
    if (this.#protocolStrikes >= STRIKES) return this.close('protocol');
    // A restart sends everyone away within a second: come back soon, but not all in the same moment.
    this.#retry(code === 1012 ? Math.random() * RESTART_PAUSE_MS : undefined);
  }

  #retry(wait = backoff(this.#tries, BACKOFF_BASE_MS, BACKOFF_CAP_MS)): void {
    this.#drop();
    this.#tries += 1;
    this.#enter('offline');
    this.#timers.retry = setTimeout(() => void this.#open(), wait);
  }

  /** The network or the page is back: do not sit out the wait, and find out at once whether the socket still lives. */
  readonly #wake = (): void => {
    if (globalThis.document?.visibilityState === 'hidden') return;
    if (this.#state === 'offline') void this.#open();
    if (this.#state === 'online') this.#heartbeat.probe();
  };

  #listen(how: 'addEventListener' | 'removeEventListener'): void {
    globalThis.window?.[how]?.('online', this.#wake);
    globalThis.document?.[how]?.('visibilitychange', this.#wake);
  }

  #write(frame: ClientFrame): boolean {
    if (this.#socket?.readyState !== 1) return false;
    this.#socket.send(JSON.stringify(frame));
    return true;
  }

  /** Lets go of the socket at once: its close may take minutes on a dead network, and nothing it says counts any more. */
  #drop(): void {
    this.#generation += 1;
    for (const timer of Object.values(this.#timers)) clearTimeout(timer);
    this.#timers = {};
    this.#heartbeat.stop();
    this.#renewal.stop();
    const socket = this.#socket;
    this.#socket = undefined;
    if (!socket) return;
    socket.onopen = socket.onmessage = socket.onclose = null;
    socket.close();
  }

  #enter(state: ConnectionState): void {
    if (this.#state === state) return;
    this.#state = state;
    this.#options.onState(state);
  }
}

type Timer = ReturnType<typeof setTimeout>;
