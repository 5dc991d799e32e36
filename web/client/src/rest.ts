// What is asked over HTTP: lists, older messages, the raw log; providers and limits of one's own.

import { Refused } from './refused.js';
import type { EventFrame } from './state.js';
import type {
  ConfiguredModel,
  ConversationEvent,
  ConversationView,
  DefaultView,
  Limits,
  MessageView,
  ModelView,
  ProviderAuth,
  ProviderCatalog,
  ProviderConfigView,
  UsageView,
} from './wire.js';

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

/** A provider as one configures it: what is left out is as the catalogue says; without `api_key` the key that is there stays. */
export interface ProviderConfig {
  protocol?: string;
  base_url?: string;
  models?: (Omit<ConfiguredModel, 'context_window'> & { context_window?: number })[];
  api_key?: string;
  /** How the key is shown. */
  auth?: ProviderAuth;
  /** That it calls the limit of an answer `max_tokens`. */
  max_tokens?: boolean;
}

/** What a provider that was tried out said. */
export type Tested =
  | { ok: true; model: string; took_ms: number }
  | { ok: false; error: { code: string; message: string } };

/** What usage is told apart by. */
export type UsageBy = 'day' | 'provider' | 'model' | 'conversation';

/** Where a change can be seen: the `min_position` of a read. */
export interface Saved {
  position: string;
}

/** The typed requests to a BestChat server. Every one may reject with `Refused`. */
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

  /** The providers that are known, and the protocols that one's own may speak. */
  providers(): Promise<ProviderCatalog> {
    return this.#get('/api/providers', {});
  }

  /** The models of a provider: asked of itself, or what is known of it where it cannot be asked. */
  providerModels(provider: string): Promise<{ models: ModelView[]; source: 'provider' | 'catalog' }> {
    return this.#get(`/api/providers/${encodeURIComponent(provider)}/models`, {});
  }

  /** The providers that one has configured. */
  providerConfigs(read: { min_position?: string } = {}): Promise<{ configs: ProviderConfigView[] }> {
    return this.#get('/api/providers/configs', read);
  }

  /** Configures a provider. */
  saveProviderConfig(provider: string, config: ProviderConfig): Promise<Saved> {
    return this.#send('PUT', `/api/providers/configs/${encodeURIComponent(provider)}`, config);
  }

  /** Forgets a provider and its key. */
  removeProviderConfig(provider: string): Promise<Saved> {
    return this.#send('DELETE', `/api/providers/configs/${encodeURIComponent(provider)}`);
  }

  /** Has a provider asked for one token. */
  testProvider(provider: string, model?: string): Promise<Tested> {
    return this.#send('POST', `/api/providers/configs/${encodeURIComponent(provider)}/test`, { model });
  }

  /** The provider that answers where one chose none; `null` means the installation's default. */
  defaultProvider(read: { min_position?: string } = {}): Promise<DefaultView> {
    return this.#get('/api/providers/default', read);
  }

  /** Chooses it. */
  setDefaultProvider(choice: Partial<DefaultView>): Promise<Saved> {
    return this.#send('PUT', '/api/providers/default', choice);
  }

  /** How much one may use. */
  limits(read: { min_position?: string } = {}): Promise<Limits> {
    return this.#get('/api/limits', read);
  }

  /** Sets all limits; one that is left out is none. */
  setLimits(limits: Partial<Limits>): Promise<Saved> {
    return this.#send('PUT', '/api/limits', limits);
  }

  /**
   * What one used from one day to another (`YYYY-MM-DD`, UTC, both among them, at most 366), told apart by day unless `by`
   * says otherwise.
   */
  usage(span: { from: string; to: string; by?: UsageBy[]; min_position?: string }): Promise<UsageView> {
    return this.#get('/api/usage', { ...span, by: span.by?.join(',') });
  }

  async #get<T>(path: string, query: Record<string, string | number | boolean | undefined>): Promise<T> {
    const given = Object.entries(query).filter(([, value]) => value !== undefined);
    const search = new URLSearchParams(given.map(([key, value]) => [key, String(value)])).toString();
    const url = `${this.#base}${path}${search && `?${search}`}`;
    return this.#answer(url, { method: 'GET' });
  }

  #send<T>(method: string, path: string, body?: unknown): Promise<T> {
    const headers = { 'content-type': 'application/json' };
    const content = body === undefined ? {} : { headers, body: JSON.stringify(body) };
    return this.#answer(`${this.#base}${path}`, { method, ...content });
  }

  async #answer<T>(url: string, request: RequestInit & { headers?: Record<string, string> }): Promise<T> {
    let response = await this.#fetch(url, request, false);
    if (response.status === 401) response = await this.#fetch(url, request, true);
    const body: unknown = await response.json().catch(() => null);
    if (!response.ok || body === null) throw refusal(response.status, body);
    return body as T;
  }

  async #fetch(
    url: string,
    request: RequestInit & { headers?: Record<string, string> },
    rejected: boolean,
  ): Promise<Response> {
    const token = await this.#token({ rejected });
    try {
      return await fetch(url, {
        ...request,
        headers: { ...request.headers, authorization: `Bearer ${token}` },
      });
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
