// The reads over HTTP: lists, older messages, the raw log.

import { Refused } from './refused.js';
import type { EventFrame } from './state.js';
import type { ConversationEvent, ConversationView, MessageView, ModelView } from './wire.js';

/** Gives a token for the next request; `rejected` says that the last one was not accepted. */
export type TokenSource = (context: { rejected: boolean }) => Promise<string> | string;

/** An event as it was recorded. */
export interface LoggedEvent {
  sequence: number;
  position: string;
  event_id: string;
  event_type: string;
  event_version: string;
  /** RFC 3339. */
  recorded_at: string;
  metadata: unknown;
  payload: ConversationEvent;
}

/** A recorded event in the form that `applyEvent` takes. */
export function frameOf({ sequence, recorded_at: at, payload: event }: LoggedEvent): EventFrame {
  return { sequence, at, event };
}

/** The typed reads of a BestChat server. Every one may reject with `Refused`. */
export class Rest {
  readonly #base: string;
  readonly #token: TokenSource;

  /** `base` is the server's address, such as `https://chat.example`. */
  constructor(base: string, token: TokenSource) {
    this.#base = base;
    this.#token = token;
  }

  /** A page of the conversations that one may see, latest activity first. `before` is the last page's `next`. */
  conversations(page: {
    limit?: number;
    before?: string;
    archived?: boolean;
  }): Promise<{ conversations: ConversationView[]; next: string | null }> {
    return this.#get('/api/conversations', page);
  }

  /** One conversation. */
  conversation(id: string): Promise<ConversationView> {
    return this.#get(`/api/conversations/${encodeURIComponent(id)}`, {});
  }

  /** Messages before a sequence, newest first. `min_position`: what the answer must have seen, from an ack or event. */
  messages(
    id: string,
    page: { before?: number; limit?: number; min_position?: string },
  ): Promise<{ messages: MessageView[]; more: boolean }> {
    return this.#get(`/api/conversations/${encodeURIComponent(id)}/messages`, page);
  }

  /** The raw log after a sequence, for replay and audit. */
  events(
    id: string,
    page: { after?: number; limit?: number },
  ): Promise<{ events: LoggedEvent[]; more: boolean }> {
    return this.#get(`/api/conversations/${encodeURIComponent(id)}/events`, page);
  }

  /** The models that can answer. */
  models(): Promise<{ models: ModelView[] }> {
    return this.#get('/api/models', {});
  }

  async #get<T>(path: string, query: Record<string, string | number | boolean | undefined>): Promise<T> {
    const given = Object.entries(query).filter(([, value]) => value !== undefined);
    const search = new URLSearchParams(given.map(([key, value]) => [key, String(value)])).toString();
    const url = `${this.#base}${path}${search && `?${search}`}`;
    let response = await this.#fetch(url, false);
    if (response.status === 401) response = await this.#fetch(url, true);
    const body: unknown = await response.json().catch(() => null);
    if (!response.ok || body === null) throw refusal(response.status, body);
    return body as T;
  }

  async #fetch(url: string, rejected: boolean): Promise<Response> {
    const token = await this.#token({ rejected });
    try {
      return await fetch(url, { headers: { authorization: `Bearer ${token}` } });
    } catch {
      throw new Refused({
        code: 'unreachable',
        message: 'The server could not be reached.',
        retryable: true,
      });
    }
  }
}

function refusal(status: number, body: unknown): Refused {
  const error = (body as { error?: { code?: string; message?: string; retryable?: boolean } } | null)?.error;
  return new Refused({
    code: error?.code ?? `http_${status}`,
    message: error?.message ?? `The server answered with status ${status}.`,
    retryable: error?.retryable ?? status >= 500,
  });
}
