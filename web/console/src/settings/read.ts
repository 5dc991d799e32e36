import { useBestChat } from '@bestchat/client/react';
import { useCallback, useEffect, useRef, useState } from 'react';
import { inWords, useConsole } from '../console';

export interface Reading<T> {
  /** What the server said last; null until it did. */
  value: T | null;
  /** Why the last reading failed. */
  problem: string | null;
  /** Reads again; with a position, what is at least as new. */
  again(position?: string): void;
}

/** What the server says, read once and again whenever `read` is another or the connection is back. */
export function useRead<T>(read: (after: { min_position?: string }) => Promise<T>): Reading<T> {
  const { client } = useConsole();
  const { state } = useBestChat(client);
  const [value, setValue] = useState<T | null>(null);
  const [problem, setProblem] = useState<string | null>(null);
  /** Only the last of several readings counts. */
  const last = useRef(0);
  const again = useCallback(
    (position?: string) => {
      last.current += 1;
      const nth = last.current;
      const isLast = () => nth === last.current;
      read(position === undefined ? {} : { min_position: position }).then(
        (answer) => {
          if (!isLast()) return;
          setValue(answer);
          setProblem(null);
        },
        (error) => isLast() && setProblem(inWords(error)),
      );
    },
    [read],
  );
  useEffect(() => {
    if (state === 'online') again();
  }, [state, again]);
  return { value, problem, again };
}
