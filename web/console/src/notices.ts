// The one line that says why something did not happen.

const SHOWN_MS = 7_000;

export class Notices {
  #text: string | null = null;
  #timer: ReturnType<typeof setTimeout> | undefined;
  readonly #listeners = new Set<() => void>();

  readonly subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  };

  readonly getSnapshot = (): string | null => this.#text;

  show(text: string | null): void {
    clearTimeout(this.#timer);
    this.#text = text;
    if (text !== null) this.#timer = setTimeout(() => this.show(null), SHOWN_MS);
    for (const listener of [...this.#listeners]) listener();
  }
}
