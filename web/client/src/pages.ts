// The older messages of a conversation, page by page.

import type { LiveTexts } from './live.js';
import type { ConversationState } from './state.js';
import type { MessageView } from './wire.js';

export interface PagesOptions {
  load(page: { before: number; min_position?: string }): Promise<{ messages: MessageView[]; more: boolean }>;
  state(): ConversationState | null;
  show(state: ConversationState): void;
  texts: LiveTexts;
}

export class Pages {
  /** The place in the log of the last event taken in. */
  position: string | undefined;
  readonly #options: PagesOptions;
  #loading: Promise<void> | undefined;

  constructor(options: PagesOptions) {
    this.#options = options;
  }

  /** Loads the page before the oldest known message; one at a time. */
  load(): Promise<void> {
    this.#loading ??= this.#load().finally(() => {
      this.#loading = undefined;
    });
    return this.#loading;
  }

  /** The newest messages need not hold the branch shown: loads until its last message is there. */
  async loadLeaf(): Promise<void> {
    const { state } = this.#options;
    const isMissing = (now: ConversationState | null) => {
      const leaf = now?.conversation.active_leaf;
      return Boolean(now?.more && leaf && !now.messages.has(leaf));
    };
    while (isMissing(state())) {
      const before = state()?.messages.size;
      await this.load().catch(() => undefined);
      if (state()?.messages.size === before) return;
    }
  }

  async #load(): Promise<void> {
    const { state, load, show, texts } = this.#options;
    const known = state();
    if (!known?.more) return;
    const before = Math.min(...Array.from(known.messages.values(), (message) => message.sequence));
    // What the page must have seen: an event that came before it would otherwise be missing from it for ever.
    const page = await load({
      before,
      ...(this.position === undefined ? {} : { min_position: this.position }),
    });
    const now = state();
    if (!now) return;
    const older = page.messages.map((message): [string, MessageView] => [message.id, message]);
    show({ ...now, messages: texts.onto(new Map([...older, ...now.messages])), more: page.more });
  }
}
