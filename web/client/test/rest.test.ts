import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { Refused, Rest } from '../src/index.js';

/** What the server was asked, and what it answers next. */
const heard: { method: string; path: string; token: string; body: unknown }[] = [];
let answers: { status: number; body: unknown }[] = [];
let server: Server;
let rest: Rest;

beforeAll(async () => {
  server = createServer(async (request, response) => {
    const body = Buffer.concat(await request.toArray()).toString();
    heard.push({
      method: request.method ?? '',
      path: request.url ?? '',
      token: request.headers.authorization ?? '',
      body: body === '' ? undefined : JSON.parse(body),
    });
    const { status, body: said } = answers.shift() ?? { status: 200, body: {} };
    response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(said));
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  rest = new Rest(`http://127.0.0.1:${port}`, ({ rejected }) => (rejected ? 'newer' : 'token'));
});
afterAll(() => {
  server.close();
});
beforeEach(() => {
  heard.length = 0;
  answers = [];
});

test('each request asks what it says', async () => {
  const config = {
    protocol: 'openai-chat',
    base_url: 'https://home.example',
    models: [{ id: 'm1' }],
    api_key: 'k',
  };
  const asked: [Promise<unknown>, string, string, unknown?][] = [
    [rest.conversations({ limit: 2, archived: true }), 'GET', '/api/conversations?limit=2&archived=true'],
    [rest.messages('a/b', { before: 7 }), 'GET', '/api/conversations/a%2Fb/messages?before=7'],
    [rest.models(), 'GET', '/api/models'],
    [rest.providers(), 'GET', '/api/providers'],
    [rest.providerModels('mine'), 'GET', '/api/providers/mine/models'],
    [rest.providerConfigs({ min_position: '0:7' }), 'GET', '/api/providers/configs?min_position=0%3A7'],
    [rest.saveProviderConfig('mine', config), 'PUT', '/api/providers/configs/mine', config],
    [rest.removeProviderConfig('mine'), 'DELETE', '/api/providers/configs/mine'],
    [rest.testProvider('mine', 'm1'), 'POST', '/api/providers/configs/mine/test', { model: 'm1' }],
    [rest.testProvider('mine'), 'POST', '/api/providers/configs/mine/test', {}],
    [rest.defaultProvider(), 'GET', '/api/providers/default'],
    [rest.setDefaultProvider({ provider: 'mine' }), 'PUT', '/api/providers/default', { provider: 'mine' }],
    [rest.limits(), 'GET', '/api/limits'],
    [rest.setLimits({ tokens_per_day: 5 }), 'PUT', '/api/limits', { tokens_per_day: 5 }],
    [rest.usage({ from: '2026-01-01', to: '2026-01-31' }), 'GET', '/api/usage?from=2026-01-01&to=2026-01-31'],
    [
      rest.usage({ from: '2026-01-01', to: '2026-01-31', by: ['day', 'model'], min_position: '0:7' }),
      'GET',
      '/api/usage?from=2026-01-01&to=2026-01-31&by=day%2Cmodel&min_position=0%3A7',
    ],
  ];
  await Promise.all(asked.map(([answer]) => answer));
  const wanted = asked.map(([, method, path, body]) => ({ method, path, token: 'Bearer token', body }));
  expect(heard).toHaveLength(wanted.length);
  // They were under way at the same time.
  expect(heard).toEqual(expect.arrayContaining(wanted));
});

test('a token that is not accepted is got anew, once', async () => {
  answers = [{ status: 401, body: {} }];
  await rest.limits();
  expect(heard.map(({ token }) => token)).toEqual(['Bearer token', 'Bearer newer']);
});

test('a refusal has its code, and one without a word is one all the same', async () => {
  const error = { code: 'keys_not_taken', message: 'no keys here', retryable: false };
  answers = [{ status: 501, body: { error } }];
  const refused: unknown = await rest.saveProviderConfig('mine', {}).catch((reason) => reason);
  expect(refused).toBeInstanceOf(Refused);
  expect(refused).toMatchObject(error);
  answers = [{ status: 502, body: 'a proxy' }];
  await expect(rest.usage({ from: '2026-01-01', to: '2026-01-01' })).rejects.toBeInstanceOf(Refused);
});
