// A long text in pieces that Markdown reads the same apart as together.
//
// A piece begins only where no block can go on: after a blank line, outside of fenced code, with a letter or a heading
// at the very left. Whatever else could go on (lists, quotations, tables, indented code) stays with what is before it.

const FENCE = /^ {0,3}(`{3,}|~{3,})(.*)$/;
const BEGINS = /^(?:\p{L}|\*\*\p{L}|#{1,6} )/u;
/** What is defined at one place and used at another needs the whole text. */
const DEFINITION = /^ {0,3}\[[^\]]+\]:/m;

/** The pieces of a text; together they are the text. */
export function blocksOf(text: string): string[] {
  if (DEFINITION.test(text)) return [text];
  const blocks: string[] = [];
  let fence: string | null = null;
  let afterBlank = false;
  let from = 0;
  let at = 0;
  for (const line of text.split(/(?<=\n)/)) {
    if (fence === null && afterBlank && BEGINS.test(line)) {
      blocks.push(text.slice(from, at));
      from = at;
    }
    fence = fenceAfter(fence, line);
    afterBlank = line.trim() === '';
    at += line.length;
  }
  return [...blocks, text.slice(from)];
}

/** The fence that is open after the line; null when none is. */
function fenceAfter(open: string | null, line: string): string | null {
  const [, marks, rest = ''] = FENCE.exec(line.trimEnd()) ?? [];
  if (marks === undefined) return open;
  if (open === null) return marks.startsWith('`') && rest.includes('`') ? null : marks;
  const closes = marks[0] === open[0] && marks.length >= open.length && rest.trim() === '';
  return closes ? null : open;
}
