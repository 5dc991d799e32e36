// A provider that speaks chat completions, answers whoever has its key, and bills what it said. Asked to think, it thinks
// until the test lets it speak.

import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

/** What each answer is billed as. */
export const BILL = { prompt_tokens: 120, completion_tokens: 34 };
export const ANSWER = 'The moon pulls at the sea.';

export class Provider {
  readonly address: string;
  readonly #server: Server;
  readonly #key: string;
  readonly #thoughts = new Set<() => void>();

  private constructor(server: Server, key: string) {
    this.#server = server;
    this.#key = key;
    server.on('request', (request, response) => void this.#serve(request, response));
    this.address = `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`;
  }

  /** Starts one that accepts this key and no other. */
  static async starts(key: string): Promise<Provider> {
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    return new Provider(server, key);
  }

  /** Lets it speak. */
  speaks(): void {
    for (const speak of this.#thoughts) speak();
    this.#thoughts.clear();
  }

  stops(): void {
    this.#server.closeAllConnections();
    this.#server.close();
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const body = Buffer.concat(await request.toArray()).toString();
    if (request.headers.authorization !== `Bearer ${this.#key}`) return refuse(response);
    if (request.method === 'GET') return send(response, { object: 'list', data: [{ id: 'm1' }] });
    const tell = chunks(response);
    if (/\bthink\b/i.test(body)) {
      tell({ reasoning_content: 'The sea is large.' });
      await new Promise<void>((speak) => this.#thoughts.add(speak));
    }
    tell({ role: 'assistant', content: ANSWER });
    tell({}, 'stop');
    response.end(`data: ${JSON.stringify({ ...FRAME, choices: [], usage: BILL })}\n\ndata: [DONE]\n\n`);
  }
}

const FRAME = { id: '1', object: 'chat.completion.chunk', model: 'm1' };

function refuse(response: ServerResponse): void {
  response.statusCode = 401;
  send(response, { error: { message: 'Incorrect API key provided.', type: 'invalid_request_error' } });
}

function send(response: ServerResponse, body: unknown): void {
  response.setHeader('content-type', 'application/json');
  response.end(JSON.stringify(body));
}

function chunks(response: ServerResponse): (delta: object, finish_reason?: string) => void {
  response.setHeader('content-type', 'text/event-stream');
  return (delta, finish_reason) => {
    const choice = { index: 0, delta, finish_reason: finish_reason ?? null };
    response.write(`data: ${JSON.stringify({ ...FRAME, choices: [choice] })}\n\n`);
  };
}
