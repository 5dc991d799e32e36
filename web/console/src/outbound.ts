// Messages on their way: shown at once, as sending, until the conversation itself has them.

import { type Ack, type BestChat, type ClientCommand, newId } from '@bestchat/client';
import { inWords } from './console';

/** A message that the server may not have yet. */
export interface OutboundMessage {
  /** The id that the message will have. */
  message: string;
  conversation: string;
  text: string;
  /** The message that it words anew, if one. */
  editOf: string | null;
  /** Why it was refused, if it was. */
  refusal: string | null;
}

export interface NewChat {
  model: string | null;
  systemPrompt: string;
}

export class Outbound {
  readonly #client: BestChat;
  readonly #listeners = new Set<() => void>();
  readonly #starting = new Set<string>();
  #view: { messages: readonly OutboundMessage[]; starting: ReadonlySet<string> } = {
    messages: [],
    starting: new Set(),
  };

  constructor(client: BestChat) {
    this.#client = client;
  }

  readonly subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  };

  /** The messages on their way, and the conversations that the server does not have yet. */
  readonly getSnapshot = () => this.#view;

  /** Begins a conversation with a message; its id. */
  start(text: string, { model, systemPrompt }: NewChat): string {
    const conversation = newId();
    const start: ClientCommand = {
      type: 'StartConversation',
      ...(model === null ? {} : { model }),
      ...(systemPrompt.trim() === '' ? {} : { system_prompt: systemPrompt }),
    };
    this.#starting.add(conversation);
    const started = this.#client.command(conversation, start);
    const finish = () => {
      this.#starting.delete(conversation);
      this.#show(this.#view.messages);
    };
    started.then(finish, () => {});
    this.#send({ conversation, text, editOf: null }, (message) =>
      started.then(() =>
        this.#client.command(conversation, { type: 'SubmitMessage', text, parent: null, message }),
      ),
    );
    return conversation;
  }

  /** Says something after `parent`. */
  submit(conversation: string, text: string, parent: string | null): void {
    this.#send({ conversation, text, editOf: null }, (message) =>
      this.#client.command(conversation, { type: 'SubmitMessage', text, parent, message }),
    );
  }

  /** Words a message anew. */
  edit(conversation: string, text: string, editOf: string): void {
    this.#send({ conversation, text, editOf }, (message) =>
      this.#client.command(conversation, { type: 'EditMessage', edit_of: editOf, text, message }),
    );
  }

  /** Lets go of a message: the conversation has it, or its author does not want it any more. */
  forget(message: string): void {
    const forgotten = this.#view.messages.find((it) => it.message === message);
    // One whose first message is given up will not come to be.
    if (forgotten) this.#starting.delete(forgotten.conversation);
    this.#show(this.#view.messages.filter((it) => it.message !== message));
  }

  #send(of: Omit<OutboundMessage, 'message' | 'refusal'>, send: (message: string) => Promise<Ack>): void {
    const message = newId();
    this.#show([...this.#view.messages, { ...of, message, refusal: null }]);
    send(message).catch((error) => {
      const refusal = inWords(error);
      this.#show(this.#view.messages.map((it) => (it.message === message ? { ...it, refusal } : it)));
    });
  }

  #show(messages: readonly OutboundMessage[]): void {
    this.#view = { messages, starting: new Set(this.#starting) };
    for (const listener of [...this.#listeners]) listener();
  }
}
