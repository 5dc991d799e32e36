import { createElement } from 'react';
import { renderToStaticMarkup } from 'react-dom/server';
import ReactMarkdown from 'react-markdown';
import remarkGfm from 'remark-gfm';
import { expect, test } from 'vitest';
import { blocksOf } from '../src/chat/blocks';

const TEXT = `# Title

First paragraph,
on two lines.

Second, with **bold**.

- one

- two

  its second paragraph

Outside of the list.

1. a
2. b

> quoted

Not quoted.

\`\`\`rust
fn main() {

Not a paragraph
}
\`\`\`

| a | b |
| --- | --- |
| 1 | 2 |

**Bold** begins it.

    indented code

    goes on

~~~~
~~~

Still code
~~~~

The end.
`;

const html = (text: string) =>
  renderToStaticMarkup(createElement(ReactMarkdown, { remarkPlugins: [remarkGfm] }, text));

test('the pieces are the text', () => {
  for (let length = 0; length <= TEXT.length; length += 1) {
    expect(blocksOf(TEXT.slice(0, length)).join('')).toBe(TEXT.slice(0, length));
  }
  expect(blocksOf(TEXT).length).toBeGreaterThan(5);
});

test('apart they read the same as together', () => {
  const flat = (markup: string) => markup.replace(/\n/g, '');
  for (let length = 0; length <= TEXT.length; length += 7) {
    const text = TEXT.slice(0, length);
    expect(flat(blocksOf(text).map(html).join(''))).toBe(flat(html(text)));
  }
});

test('a text grows only at its end: earlier pieces stay as they are', () => {
  let before: string[] = [''];
  for (let length = 0; length <= TEXT.length; length += 1) {
    const now = blocksOf(TEXT.slice(0, length));
    expect(now.slice(0, before.length - 1)).toEqual(before.slice(0, -1));
    before = now;
  }
});

test('a text with definitions stays whole', () => {
  const text = 'See [this].\n\nAnd more.\n\n[this]: https://example.com\n';
  expect(blocksOf(text)).toEqual([text]);
});
