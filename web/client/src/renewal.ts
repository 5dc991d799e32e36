// When to hand over a newer token: a while before the old one ends, early enough for a slow token source.

const EARLY_MS = 60_000;
/** Keeps a wrong clock, or a source that hands out the same token again, from asking in a loop. */
const LEAST_MS = 1_000;
const MAX_TIMER_MS = 2 ** 31 - 1;

export class Renewal {
  readonly #renew: () => Promise<void>;
  #timer: ReturnType<typeof setTimeout> | undefined;

  /** `renew` may reject: it is tried again for as long as the old token lasts. */
  constructor(renew: () => Promise<void>) {
    this.#renew = renew;
  }

  /** The token lasts `leftMs` from now. */
  schedule(leftMs: number): void {
    const early = Math.min(EARLY_MS, leftMs * 0.2);
    const wait = Math.max(LEAST_MS, Math.min(leftMs - early, MAX_TIMER_MS));
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      this.#renew().catch(() => this.schedule(leftMs - wait));
    }, wait);
  }

  stop(): void {
    clearTimeout(this.#timer);
  }
}
