// Whether the other side still lives. Browsers show neither the server's pings nor a dead network, so the client asks
// and counts the silence.

export interface HeartbeatOptions {
  ping(): void;
  /** Nothing was heard for too long. */
  dead(): void;
}

const PROBE_MS = 5_000;

export class Heartbeat {
  readonly #options: HeartbeatOptions;
  #heardAt = 0;
  #interval: ReturnType<typeof setInterval> | undefined;
  #probe: ReturnType<typeof setTimeout> | undefined;

  constructor(options: HeartbeatOptions) {
    this.#options = options;
  }

  /** Asks every `pingMs`; twice as long without a word is dead. */
  start(pingMs: number): void {
    this.stop();
    this.#heardAt = Date.now();
    this.#interval = setInterval(() => {
      if (Date.now() - this.#heardAt > 2 * pingMs) this.#options.dead();
      else this.#options.ping();
    }, pingMs);
  }

  heard(): void {
    this.#heardAt = Date.now();
    clearTimeout(this.#probe);
  }

  /** Asks now, and does not wait long: there is reason to doubt. */
  probe(): void {
    clearTimeout(this.#probe);
    this.#probe = setTimeout(() => this.#options.dead(), PROBE_MS);
    this.#options.ping();
  }

  stop(): void {
    clearInterval(this.#interval);
    clearTimeout(this.#probe);
  }
}
