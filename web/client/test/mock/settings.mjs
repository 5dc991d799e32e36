// What the mock's people set for themselves: providers, the default, limits. Keys are forgotten but for their end.

const NO_LIMITS = {
  micro_usd_per_day: null,
  micro_usd_per_month: null,
  tokens_per_day: null,
  tokens_per_month: null,
  requests_per_minute: null,
  concurrent_replies: null,
};
const PROTOCOLS = ['openai-chat', 'anthropic'];
const DEMO = {
  id: 'demo',
  name: 'Demo',
  protocol: 'openai-chat',
  configured: true,
  needs_key: false,
  base_url: null,
  parameters: [],
  needs_base_url: false,
};
const AZURE = {
  ...DEMO,
  id: 'azure',
  name: 'Azure OpenAI',
  configured: false,
  needs_key: true,
  base_url: 'https://{resource}.openai.azure.com/openai/v1',
  parameters: ['resource'],
  needs_base_url: true,
};
const USED = {
  attempts: 12,
  failed: 1,
  input: 5_310,
  cached_input: 1_200,
  cache_write: 0,
  output: 2_048,
  reasoning: 512,
  micro_usd: 41_700,
  unpriced: 2,
  estimated: 1,
};

export class Settings {
  #people = new Map();

  constructor(models) {
    this.models = models;
  }

  /** What a request gets; nothing when it is about something else. */
  async answer(request, pathname, user) {
    const person = this.#people.get(user) ?? { configs: new Map(), standard: {}, limits: NO_LIMITS };
    this.#people.set(user, person);
    const text = Buffer.concat(await request.toArray()).toString();
    const body = text === '' ? {} : JSON.parse(text);
    const saved = { position: '0:1' };
    const [, provider, test] = pathname.match(/^\/api\/providers\/configs\/([^/]+)(\/test)?$/) ?? [];
    if (test) {
      const error = { code: 'auth', message: 'The provider did not accept its key.' };
      return provider === 'wrong' ? { ok: false, error } : { ok: true, model: 'm1', took_ms: 412 };
    }
    if (provider && request.method === 'PUT') {
      const { protocol = null, base_url = null, models = [], api_key } = body;
      const last_four = api_key?.slice(-4) ?? person.configs.get(provider)?.last_four ?? null;
      const updated_at = new Date().toISOString();
      person.configs.set(provider, { provider, protocol, base_url, models, last_four, updated_at });
      return saved;
    }
    if (provider) return person.configs.delete(provider) && saved;
    if (request.method === 'PUT' && pathname === '/api/limits') person.limits = { ...NO_LIMITS, ...body };
    if (request.method === 'PUT' && pathname === '/api/providers/default') person.standard = body;
    if (request.method === 'PUT') return saved;
    return this.#read(person, pathname);
  }

  #read({ configs, standard, limits }, pathname) {
    const day = new Date().toISOString().slice(0, 10);
    switch (pathname) {
      case '/api/providers':
        return {
          providers: [DEMO, AZURE].map((it) => ({ ...it, models: this.models })),
          protocols: PROTOCOLS,
        };
      case '/api/providers/configs':
        return { configs: [...configs.values()] };
      case '/api/providers/default':
        return { provider: null, model: null, ...standard };
      case '/api/limits':
        return limits;
      case '/api/usage':
        return { rows: [{ day, model: 'demo/echo', ...USED }], total: USED, more: false };
      default:
        return undefined;
    }
  }
}
