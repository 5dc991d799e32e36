import { useEffect, useRef, useState } from 'react';
import { inWords } from '../console';

/** Loads older messages when it comes into view, which it does at the top of the page. */
export function OlderMessages({ load, count }: { load(): Promise<void>; count: number }) {
  const ref = useRef<HTMLDivElement>(null);
  const [problem, setProblem] = useState<string | null>(null);
  const loadRef = useRef(load);
  loadRef.current = load;
  const again = () => {
    setProblem(null);
    loadRef.current().catch((error) => setProblem(inWords(error)));
  };
  // after each page it may still be in view.
  useEffect(() => {
    const element = ref.current;
    if (!element) return;
    const seen = new IntersectionObserver(([entry]) => entry?.isIntersecting && again(), {
      rootMargin: '300px',
    });
    seen.observe(element);
    return () => seen.disconnect();
  }, [count]);
  return (
    <div className="older" ref={ref}>
      {problem === null ? (
        'Loading older messages…'
      ) : (
        <>
          {problem}{' '}
          <button type="button" className="quiet" onClick={again}>
            Try again
          </button>
        </>
      )}
    </div>
  );
}
