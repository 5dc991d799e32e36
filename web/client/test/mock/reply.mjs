// The mock's answer: it echoes, word by word. `long`, `slow`, `instant`, `fail` and `cut` in the question do as the real
// demo's do; `retry` makes only the first attempt fail, `think` has it think first; `markdown` shows every kind of formatting.

import { setTimeout as sleep } from 'node:timers/promises';

const MARKDOWN = `## Formatting

A paragraph with **bold**, *emphasis*, \`inline code\` and a [link](https://example.com).

- one
- two
  - nested

1. first
2. second

> A quotation.

\`\`\`rust
fn main() {
    println!("hello");
}
\`\`\`

| Name | Count |
| --- | ---: |
| apples | 3 |
| pears | 12 |

- [x] done
- [ ] open
`;

const usage = { input: 12, cached_input: null, output: 34, reasoning: null };

export async function answer(conversation, reply, sendDelta, wordsPerSecond) {
  const question = conversation.messages.get(conversation.messages.get(reply).parent).parts[0].text;
  const attempts = /\bcut\b/.test(question) ? 3 : /\bretry\b/.test(question) ? 2 : 1;
  const append = (event) => conversation.append('worker:mock', { reply, ...event });
  const isOver = () => conversation.deleted || conversation.messages.get(reply).status === 'stopped';
  await sleep(150);
  for (let attempt = 1; attempt <= attempts; attempt += 1) {
    if (isOver()) return;
    append({ type: 'ReplyAttemptStarted', attempt, worker: 'mock', lease_ms: 15_000 });
    for (let signs = /\bthink\b/.test(question) ? 3 : 0; signs > 0; signs -= 1) {
      sendDelta({ reply, attempt, offset: 0, text: '', thinking: true });
      await sleep(1_000);
    }
    const ends = attempt < attempts || /\b(fail|cut)\b/.test(question);
    const said = await stream(
      conversation,
      reply,
      attempt,
      words(question),
      ends ? 6 : Infinity,
      sendDelta,
      wordsPerSecond,
    );
    const parts = [{ type: 'text', text: said }];
    if (isOver()) return;
    if (conversation.messages.get(reply).status === 'stopping')
      return append({ type: 'ReplyStopped', attempt, parts });
    const what = /\bfail\b/.test(question) ? 'failed' : 'broke off';
    const error = { code: 'invalid', message: `The demo ${what} because the message told it to.` };
    if (attempt < attempts) {
      append({ type: 'ReplyAttemptFailed', attempt, error });
      await sleep(1_000);
    } else if (ends) append({ type: 'ReplyFailed', attempt, error, parts });
    else append({ type: 'ReplyCompleted', attempt, parts, finish: 'stop', model: 'demo/echo', usage });
  }
}

function words(question) {
  const rate = /\bslow\b/.test(question) ? 8 : /\binstant\b/.test(question) ? 0 : 1;
  if (/\bmarkdown\b/.test(question)) return { rate, list: MARKDOWN.match(/\s*\S+\s*?/g) };
  const times = /\blong\b/.test(question) ? 40 : 3;
  const echo = Array.from(
    { length: times },
    (_, n) => `${n + 1}. You said: “${question}” — naïve 漢字 😀\n`,
  ).join('');
  return { rate, list: echo.match(/\S+\s*/g) };
}

async function stream(conversation, reply, attempt, { list, rate }, limit, sendDelta, wordsPerSecond) {
  let said = '';
  for (const word of list.slice(0, limit)) {
    if (rate > 0) await sleep((1_000 / wordsPerSecond) * rate);
    if (conversation.deleted || conversation.messages.get(reply).status === 'stopping') break;
    sendDelta({ reply, attempt, offset: Buffer.byteLength(said), text: word });
    said += word;
    conversation.live = { ...conversation.live, [reply]: { attempt, said } };
  }
  return said;
}
