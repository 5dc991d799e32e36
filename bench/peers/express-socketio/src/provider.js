// Streaming chat completions of any OpenAI-compatible server.
//
// Node's fetch keeps connections alive and opens as many as there are replies at once.

export class Provider {
  #url;
  #headers;
  #model;

  constructor({ url, key, model }) {
    this.#url = `${url.replace(/\/+$/, '')}/chat/completions`;
    this.#headers = { 'content-type': 'application/json', accept: 'text/event-stream' };
    if (key) this.#headers.authorization = `Bearer ${key}`;
    this.#model = model;
  }

  /** Asks for a reply and calls `onText` with each piece of text as it arrives. Rejects unless the reply was complete. */
  async reply(messages, onText) {
    const body = JSON.stringify({ model: this.#model, messages, stream: true });
    const response = await fetch(this.#url, { method: 'POST', headers: this.#headers, body });
    if (!response.ok) {
      await response.body?.cancel();
      throw new Error(`provider answered ${response.status}`);
    }
    let complete = false;
    // Reads on after `[DONE]`: leaving the loop early would throw away a connection that can be used again.
    await eachEvent(response.body, (data) => {
      if (data === '[DONE]') {
        complete = true;
        return;
      }
      const { error, choices } = JSON.parse(data);
      if (error) throw new Error(`provider failed in mid-stream: ${error.message}`);
      const choice = choices?.[0];
      if (choice?.delta?.content) onText(choice.delta.content);
      if (choice?.finish_reason) complete = true;
    });
    if (!complete) throw new Error('provider ended the stream before the reply');
  }
}

/**
 * Calls `onData` with each `data:` line of a stream of server-sent events. A callback and not an async iterator, which
 * would go through the microtask queue for each token. Chat completions never spread an event over several lines.
 */
async function eachEvent(body, onData) {
  const decoder = new TextDecoder();
  let rest = '';
  for await (const bytes of body) {
    const lines = (rest + decoder.decode(bytes, { stream: true })).split('\n');
    rest = lines.pop();
    for (const line of lines) {
      if (line.startsWith('data:')) onData(line.slice(5).trim());
    }
  }
  if (rest.startsWith('data:')) onData(rest.slice(5).trim());
}
