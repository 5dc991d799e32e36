import { useState } from 'react';

/** A title in its own place, open for another. Enter takes it, Escape leaves it. */
export function Rename({ title, onDone }: { title: string; onDone(title: string | null): void }) {
  const [value, setValue] = useState(title);
  const finish = (given: string) => {
    const next = given.trim();
    onDone(next === '' || next === title ? null : next);
  };
  return (
    <input
      className="rename"
      aria-label="Title"
      value={value}
      maxLength={200}
      // biome-ignore lint/a11y/noAutofocus: it takes the place of what was just activated.
      autoFocus
      onFocus={(event) => event.target.select()}
      onChange={(event) => setValue(event.target.value)}
      onBlur={() => finish(value)}
      onKeyDown={(event) => {
        if (event.nativeEvent.isComposing) return;
        if (event.key === 'Enter') finish(value);
        if (event.key === 'Escape') onDone(null);
      }}
    />
  );
}
