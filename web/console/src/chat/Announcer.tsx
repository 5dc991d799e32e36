import { hasEnded, type Message, textOf } from '@bestchat/client';
import { useEffect, useRef, useState } from 'react';
import { helpAgainst } from './words';

/** Reads out an answer that ended while one was there: whole, not word by word. */
export function Announcer({ shown }: { shown: Message[] }) {
  const running = useRef(new Set<string>());
  const [words, setWords] = useState('');
  useEffect(() => {
    for (const message of shown) {
      if (!hasEnded(message)) running.current.add(message.id);
      else if (running.current.delete(message.id)) setWords(announcement(message));
    }
  }, [shown]);
  return (
    <p className="only-heard" aria-live="polite">
      {words}
    </p>
  );
}

function announcement({ status, parts, error }: Message): string {
  if (status === 'failed')
    return `The answer failed. ${error?.message ?? ''} ${helpAgainst(error?.code ?? '').words}`;
  if (status === 'stopped') return 'The answer was stopped.';
  return textOf(parts);
}
