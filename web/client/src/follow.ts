// One conversation, followed: the store that a page looks at.
//
// It is correct because of two counts. Events are numbered without a gap, so one that is not the next is either known
// already (dropped) or shows that something is missing (asked for again from the last known one). A running reply's
// text is counted in bytes per attempt, so that the same holds for deltas; see delta.ts.

import { backoff } from './backoff.js';
import { applyEvent } from './fold.js';
import { LiveTexts } from './live.js';
import { Pages, type PagesOptions } from './pages.js';
import { Refused } from './refused.js';
import { type ConversationState, fromSnapshot } from './state.js';
import { Typists } from './typists.js';
import type { ClientFrame, ServerFrame } from './wire.js';

/** What a page shows of a conversation. Never changed in place. */
export interface ConversationSnapshot {
  /** Null until the first answer. */
  readonly state: ConversationState | null;
  /** Why the conversation cannot be followed: it is gone, or not for this user. */
  readonly problem: Refused | null;
  /** Who is typing. */
  readonly typing: readonly string[];
}

export interface FollowOptions {
  id: string;
  send(frame: ClientFrame): boolean;
  older: PagesOptions['load'];
}

type Frame = Extract<ServerFrame, { conversation: string | null }>;

/** How long a conversation that nobody looks at any more is still followed: for going back and forth. */
const LINGER_MS = 30_000;
const GONE = {
  code: 'gone',
  message: 'This conversation was deleted or is not shared with you.',
  retryable: false,
};

export class Follow {
  readonly #options: FollowOptions;
  readonly #listeners = new Set<() => void>();
  readonly #texts = new LiveTexts();
  readonly #pages: Pages;
  readonly #typists = new Typists(() => this.#set({ typing: this.#typists.names }));
  #view: ConversationSnapshot = { state: null, problem: null, typing: [] };
  #asked = false;
  #resyncs = 0;
  #resyncTimer: ReturnType<typeof setTimeout> | undefined;
  #linger: ReturnType<typeof setTimeout> | undefined;
  #active = false;

  constructor(options: FollowOptions) {
    this.#options = options;
    this.#pages = new Pages({
      load: options.older,
      state: () => this.#view.state,
      show: (state) => this.#set({ state }),
      texts: this.#texts,
    });
  }

  /** Calls `listener` after each change, until the returned function is called. Following begins with the first one. */
  readonly subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener);
    clearTimeout(this.#linger);
    if (!this.#active) this.#activate();
    return () => {
      if (!this.#listeners.delete(listener) || this.#listeners.size > 0) return;
      this.#linger = setTimeout(() => this.#deactivate(), LINGER_MS);
    };
  };

  readonly getSnapshot = (): ConversationSnapshot => this.#view;

  /** Loads the page of messages before the oldest known one. */
  loadOlder(): Promise<void> {
    return this.#pages.load();
  }

  /** There is a new socket, which knows nothing yet. */
  online(): void {
    this.#resyncs = 0;
    if (this.#active) this.#ask();
  }

  /** The socket is gone. */
  offline(): void {
    this.#asked = false;
    clearTimeout(this.#resyncTimer);
    this.#resyncTimer = undefined;
    const { state } = this.#view;
    if (state?.live) this.#set({ state: { ...state, live: false } });
  }

  close(): void {
    clearTimeout(this.#linger);
    clearTimeout(this.#resyncTimer);
    this.#typists.clear();
  }

  /** Takes in a frame that names this conversation. */
  receive(frame: Frame): void {
    if (!this.#active) return;
    switch (frame.type) {
      case 'subscribed':
        return this.#subscribed(frame);
      case 'event':
        return this.#event(frame);
      case 'delta':
        return this.#delta(frame);
      case 'live':
        return this.#live(frame.sequence);
      case 'typing':
        return this.#typists.add(frame.user);
      case 'unsubscribed':
        return frame.reason === 'gone' ? this.#end(new Refused(GONE)) : undefined;
      case 'refused':
        if (!this.#asked) return;
        this.#asked = false;
        return frame.retryable ? this.#resync() : this.#end(new Refused(frame));
    }
  }

  #subscribed({ snapshot, sequence }: Extract<Frame, { type: 'subscribed' }>): void {
    this.#asked = false;
    if (snapshot) {
      const state = fromSnapshot(snapshot, sequence);
      this.#set({ state: { ...state, messages: this.#texts.onto(state.messages) }, problem: null });
      void this.#pages.loadLeaf();
    } else if (this.#view.state === null || sequence > this.#view.state.sequence) {
      // The server takes up from something that this client does not have: begin anew.
      this.#set({ state: null });
      this.#resync();
    }
  }

  #event(frame: Extract<Frame, { type: 'event' }>): void {
    const { state } = this.#view;
    if (!state || frame.sequence <= state.sequence) return;
    if (frame.sequence > state.sequence + 1) return this.#resync();
    this.#pages.position = frame.position;
    const next = applyEvent(state, frame);
    this.#set({ state: { ...next, messages: this.#texts.after(frame.event, next.messages) } });
    if (frame.event.type === 'MessageSubmitted') this.#typists.remove(frame.event.author);
    if (frame.event.type === 'BranchSelected') void this.#pages.loadLeaf();
  }

  #delta(frame: Extract<Frame, { type: 'delta' }>): void {
    const { state } = this.#view;
    if (!state) return;
    const { messages, gap } = this.#texts.add(frame, state.messages);
    if (messages !== state.messages) this.#set({ state: { ...state, messages } });
    if (gap) this.#resync();
  }

  #live(sequence: number): void {
    const { state } = this.#view;
    if (!state || this.#asked) return;
    if (sequence > state.sequence) return this.#resync();
    this.#resyncs = 0;
    if (!state.live) this.#set({ state: { ...state, live: true } });
  }

  /** Something is missing: asks for it, at most once at a time and ever more slowly should it not help. */
  #resync(): void {
    if (this.#asked || this.#resyncTimer) return;
    const wait = this.#resyncs === 0 ? 0 : backoff(this.#resyncs, 250, 10_000);
    this.#resyncs += 1;
    if (wait === 0) return this.#ask();
    this.#resyncTimer = setTimeout(() => this.#ask(), wait);
  }

  #ask(): void {
    clearTimeout(this.#resyncTimer);
    this.#resyncTimer = undefined;
    const { state } = this.#view;
    const from = state ? { after: state.sequence, replies: this.#texts.cursors() } : {};
    const { id: conversation, send } = this.#options;
    this.#asked = send({ type: 'subscribe', conversation, ...from });
  }

  #activate(): void {
    this.#active = true;
    if (this.#view.problem) this.#set({ problem: null });
    this.#ask();
  }

  #deactivate(): void {
    if (this.#active) this.#options.send({ type: 'unsubscribe', conversation: this.#options.id });
    this.#active = false;
    this.#asked = false;
    this.close();
    this.#texts.clear();
    this.#view = { state: null, problem: null, typing: [] };
  }

  /** There is nothing to follow any more. A new listener asks again. */
  #end(problem: Refused): void {
    this.#active = false;
    this.#asked = false;
    const { state } = this.#view;
    const gone = problem.code === GONE.code;
    this.#set({ problem, state: state && { ...state, live: false, gone: state.gone || gone } });
  }

  #set(change: Partial<ConversationSnapshot>): void {
    this.#view = { ...this.#view, ...change };
    for (const listener of [...this.#listeners]) listener();
  }
}
