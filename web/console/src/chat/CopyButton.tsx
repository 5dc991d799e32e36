import { useState } from 'react';
import { IconButton } from '../IconButton';

/** Copies a text. Browsers allow that only on https and loopback pages, so elsewhere there is no button. */
export function CopyButton({ text, label }: { text: string; label: string }) {
  const [done, setDone] = useState(false);
  if (!navigator.clipboard) return null;
  const copy = async () => {
    await navigator.clipboard.writeText(text);
    setDone(true);
    setTimeout(() => setDone(false), 1_500);
  };
  return (
    <IconButton icon={done ? 'check' : 'copy'} label={done ? 'Copied' : label} onClick={() => void copy()} />
  );
}
