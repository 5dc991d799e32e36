// The texts of the replies that run in one conversation, and how they show in its messages.

import { type Delta, type LiveText, splice } from './delta.js';
import { hasEnded, type Message } from './state.js';
import type { ConversationEvent, ReplyCursor } from './wire.js';

type Messages = ReadonlyMap<string, Message>;

export class LiveTexts {
  readonly #texts = new Map<string, LiveText>();

  /** What one has, for the server to go on from. */
  cursors(): ReplyCursor[] {
    return Array.from(this.#texts, ([reply, { attempt, bytes }]) => ({ reply, attempt, offset: bytes }));
  }

  clear(): void {
    this.#texts.clear();
  }

  /** The messages with a delta in them; `gap` when text before it is missing. */
  add(
    { reply, thinking, ...delta }: Delta & { reply: string; thinking?: boolean },
    messages: Messages,
  ): { messages: Messages; gap: boolean } {
    const message = messages.get(reply);
    if (message && hasEnded(message)) return { messages, gap: false };
    if (thinking) {
      const news = message && message.attempt === delta.attempt && !message.thinking;
      return {
        messages: news ? new Map(messages).set(reply, { ...message, thinking: true }) : messages,
        gap: false,
      };
    }
    const known = this.#texts.get(reply);
    const { live, gap } = splice(known, delta);
    if (live === known) return { messages, gap };
    this.#texts.set(reply, live);
    return { messages: this.#show(reply, messages), gap };
  }

  /** The messages after an event: a delta may have come before the event that it belongs to. */
  after(event: ConversationEvent, messages: Messages): Messages {
    if (!('reply' in event)) return messages;
    if (event.type === 'ReplyCompleted' || event.type === 'ReplyStopped' || event.type === 'ReplyFailed') {
      this.#texts.delete(event.reply);
    }
    return this.#show(event.reply, messages);
  }

  /** The texts shown in messages that came from elsewhere. */
  onto(messages: Messages): Messages {
    return [...this.#texts.keys()].reduce((shown, reply) => this.#show(reply, shown), messages);
  }

  #show(reply: string, messages: Messages): Messages {
    const message = messages.get(reply);
    const live = this.#texts.get(reply);
    if (!message || !live) return messages;
    if (hasEnded(message) || live.attempt < message.attempt) {
      this.#texts.delete(reply);
      return messages;
    }
    if (message.liveText === live.text) return messages;
    const { thinking: _, ...rest } = message;
    return new Map(messages).set(reply, { ...rest, liveText: live.text });
  }
}
