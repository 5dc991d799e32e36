// A provider that speaks chat completions, answers whoever has its key, and bills what it said.

import { once } from 'node:events';
import { createServer, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

/** What each answer is billed as. */
export const BILL = { prompt_tokens: 120, completion_tokens: 34 };
export const ANSWER = 'The moon pulls at the sea.';

export class Provider {
  readonly address: string;
  readonly #server: Server;

  private constructor(server: Server) {
    this.#server = server;
    this.address = `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`;
  }

  /** Starts one that accepts this key and no other. */
  static async starts(key: string): Promise<Provider> {
    const server = createServer((request, response) => {
      request.resume().on('end', () => {
        if (request.headers.authorization !== `Bearer ${key}`) return refuse(response);
        if (request.method === 'GET') return send(response, { object: 'list', data: [{ id: 'm1' }] });
        answer(response);
      });
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return new Provider(server);
  }

  stops(): void {
    this.#server.closeAllConnections();
    this.#server.close();
  }
}

function refuse(response: ServerResponse): void {
  response.statusCode = 401;
  send(response, { error: { message: 'Incorrect API key provided.', type: 'invalid_request_error' } });
}

function send(response: ServerResponse, body: unknown): void {
  response.setHeader('content-type', 'application/json');
  response.end(JSON.stringify(body));
}

function answer(response: ServerResponse): void {
  response.setHeader('content-type', 'text/event-stream');
  const chunk = (more: object) => {
    const frame = { id: '1', object: 'chat.completion.chunk', model: 'm1', choices: [], ...more };
    response.write(`data: ${JSON.stringify(frame)}\n\n`);
  };
  chunk({ choices: [{ index: 0, delta: { role: 'assistant', content: ANSWER }, finish_reason: null }] });
  chunk({ choices: [{ index: 0, delta: {}, finish_reason: 'stop' }] });
  chunk({ usage: { ...BILL, total_tokens: BILL.prompt_tokens + BILL.completion_tokens } });
  response.end('data: [DONE]\n\n');
}
