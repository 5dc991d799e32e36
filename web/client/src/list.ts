// The list of conversations, kept up to date from every tab: pages over HTTP, changes over the socket.

import { backoff } from './backoff.js';
import { Refused } from './refused.js';
import type { Rest } from './rest.js';
import type { ConversationView } from './wire.js';

/** What a page shows of the list. Never changed in place. */
export interface ListSnapshot {
  /** Latest activity first. */
  readonly conversations: readonly ConversationView[];
  /** Whether the first page is still on its way. */
  readonly loading: boolean;
  /** Whether the server has more than is known here. */
  readonly more: boolean;
  /** Why the last load failed, if it did. */
  readonly problem: Refused | null;
}

export interface ListOptions {
  archived: boolean;
  rest: Rest;
  isOnline(): boolean;
}

const PAGE = 50;

export class ConversationList {
  readonly #options: ListOptions;
  readonly #listeners = new Set<() => void>();
  #rows = new Map<string, ConversationView>();
  /** What changed while a load was under way: it is newer than what the load brings. */
  #changedMeanwhile = new Map<string, ConversationView | null>();
  #next: string | null = null;
  #view: ListSnapshot = { conversations: [], loading: true, more: false, problem: null };
  #failures = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #load = 0;

  constructor(options: ListOptions) {
    this.#options = options;
  }

  readonly subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener);
    if (this.#listeners.size === 1 && this.#options.isOnline()) void this.reload();
    return () => this.#listeners.delete(listener);
  };

  readonly getSnapshot = (): ListSnapshot => this.#view;

  /** There is a new socket: changes may have been missed without one. */
  online(): void {
    if (this.#listeners.size > 0) void this.reload();
  }

  /** Loads the first page anew. */
  async reload(): Promise<void> {
    clearTimeout(this.#timer);
    await this.#page(undefined);
  }

  /** Loads the next page. */
  async loadMore(): Promise<void> {
    if (this.#next !== null) await this.#page(this.#next);
  }

  /** Takes in a changed row; null when it left the list. */
  changed(id: string, row: ConversationView | null): void {
    this.#changedMeanwhile.set(id, row);
    this.#put(id, row);
    this.#show({});
  }

  close(): void {
    clearTimeout(this.#timer);
    this.#load += 1;
  }

  async #page(before: string | undefined): Promise<void> {
    this.#load += 1;
    const load = this.#load;
    this.#changedMeanwhile = new Map();
    try {
      const page = {
        limit: PAGE,
        archived: this.#options.archived,
        ...(before === undefined ? {} : { before }),
      };
      const { conversations, next } = await this.#options.rest.conversations(page);
      // A later load has begun: what it brings is newer.
      if (load !== this.#load) return;
      if (before === undefined) this.#rows = new Map();
      for (const row of conversations) this.#put(row.id, row);
      for (const [id, row] of this.#changedMeanwhile) this.#put(id, row);
      this.#next = next;
      this.#failures = 0;
      this.#show({ loading: false, more: next !== null, problem: null });
    } catch (error) {
      if (load === this.#load) this.#failed(error);
    }
  }

  #failed(error: unknown): void {
    const unknown = { code: 'unknown', message: String(error), retryable: false };
    const problem = error instanceof Refused ? error : new Refused(unknown);
    this.#show({ loading: false, problem });
    if (!problem.retryable || this.#listeners.size === 0) return;
    this.#timer = setTimeout(() => void this.reload(), 500 + backoff(this.#failures, 500, 15_000));
    this.#failures += 1;
  }

  #put(id: string, row: ConversationView | null): void {
    const known = this.#rows.get(id);
    if (row === null || row.archived !== this.#options.archived) this.#rows.delete(id);
    else if (!known || known.sequence <= row.sequence) this.#rows.set(id, row);
  }

  #show(change: Partial<ListSnapshot>): void {
    const latestFirst = (a: ConversationView, b: ConversationView) =>
      Date.parse(b.updated_at) - Date.parse(a.updated_at) || (a.id < b.id ? 1 : -1);
    this.#view = { ...this.#view, conversations: [...this.#rows.values()].sort(latestFirst), ...change };
    for (const listener of [...this.#listeners]) listener();
  }
}
