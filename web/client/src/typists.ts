// Who is typing: told at most once per keystroke burst and never taken back, so each word of it fades by itself.

const FADE_MS = 5_000;

export class Typists {
  readonly #changed: () => void;
  readonly #timers = new Map<string, ReturnType<typeof setTimeout>>();

  constructor(changed: () => void) {
    this.#changed = changed;
  }

  get names(): string[] {
    return [...this.#timers.keys()].sort();
  }

  add(user: string): void {
    const isNew = !this.#timers.has(user);
    clearTimeout(this.#timers.get(user));
    this.#timers.set(
      user,
      setTimeout(() => this.remove(user), FADE_MS),
    );
    if (isNew) this.#changed();
  }

  remove(user: string): void {
    clearTimeout(this.#timers.get(user));
    if (this.#timers.delete(user)) this.#changed();
  }

  clear(): void {
    for (const timer of this.#timers.values()) clearTimeout(timer);
    this.#timers.clear();
  }
}
