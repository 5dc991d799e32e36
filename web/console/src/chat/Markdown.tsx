import { memo, type ReactNode, useMemo, useRef, useState } from 'react';
import ReactMarkdown, { type Components } from 'react-markdown';
import remarkGfm from 'remark-gfm';
import { IconButton } from '../IconButton';
import { blocksOf } from './blocks';

const COMPONENTS: Components = {
  a: ({ href, children }) => (
    <a href={href} target="_blank" rel="noopener noreferrer nofollow">
      {children}
    </a>
  ),
  // A picture from elsewhere would tell its server who reads what, and when: it is a link instead.
  img: ({ src, alt }) => (
    <a href={typeof src === 'string' ? src : undefined} target="_blank" rel="noopener noreferrer nofollow">
      {alt || 'Picture'}
    </a>
  ),
  pre: ({ children }) => <CodeBlock>{children}</CodeBlock>,
  table: ({ children }) => (
    <div className="table">
      <table>{children}</table>
    </div>
  ),
};
const PLUGINS = [remarkGfm];

/** Markdown as text with structure; raw HTML in it stays text. */
export function Markdown({ text, streaming }: { text: string; streaming: boolean }) {
  const blocks = useMemo(() => blocksOf(text), [text]);
  return (
    <div className={streaming ? 'markdown streaming' : 'markdown'}>
      {blocks.map((block, at) => (
        // A text only grows at its end, so a place is a name.
        <Block key={at} text={block} />
      ))}
    </div>
  );
}

/** While text streams in, only the last block changes: the others are neither parsed nor drawn again. */
const Block = memo(function Block({ text }: { text: string }) {
  return (
    <ReactMarkdown remarkPlugins={PLUGINS} components={COMPONENTS}>
      {text}
    </ReactMarkdown>
  );
});

function CodeBlock({ children }: { children: ReactNode }) {
  const ref = useRef<HTMLPreElement>(null);
  const [copied, setCopied] = useState(false);
  const copy = async () => {
    await navigator.clipboard.writeText(ref.current?.textContent ?? '');
    setCopied(true);
    setTimeout(() => setCopied(false), 1_500);
  };
  return (
    <div className="code">
      <pre ref={ref}>{children}</pre>
      {navigator.clipboard && (
        <IconButton
          icon={copied ? 'check' : 'copy'}
          label={copied ? 'Copied' : 'Copy the code'}
          onClick={() => void copy()}
        />
      )}
    </div>
  );
}
