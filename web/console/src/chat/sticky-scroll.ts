// Keeps the newest message in view for those who are there, and everything in its place for those who read above.

import { useCallback, useEffect, useLayoutEffect, useRef, useState } from 'react';

const NEAR_PX = 48;

/** `first` is the oldest message shown, `sent` the last message that the user sent. */
export function useStickyScroll(first: string | undefined, sent: string | undefined) {
  const scroller = useRef<HTMLElement>(null);
  const content = useRef<HTMLDivElement>(null);
  const sticks = useRef(true);
  const height = useRef(0);
  const [isAtEnd, setIsAtEnd] = useState(true);

  const toEnd = useCallback(() => {
    sticks.current = true;
    const element = scroller.current;
    if (element) element.scrollTop = element.scrollHeight;
  }, []);

  useEffect(() => {
    const element = scroller.current;
    if (!element) return;
    const onScroll = () => {
      const left = element.scrollHeight - element.scrollTop - element.clientHeight;
      sticks.current = left < NEAR_PX;
      setIsAtEnd(sticks.current);
    };
    element.addEventListener('scroll', onScroll, { passive: true });
    const grown = new ResizeObserver(() => {
      height.current = element.scrollHeight;
      if (sticks.current) element.scrollTop = element.scrollHeight;
      else onScroll();
    });
    grown.observe(element);
    if (content.current) grown.observe(content.current);
    return () => {
      element.removeEventListener('scroll', onScroll);
      grown.disconnect();
    };
  }, []);

  // older messages came in above, and pushed down what is read.
  useLayoutEffect(() => {
    const element = scroller.current;
    if (!element) return;
    if (!sticks.current) element.scrollTop += element.scrollHeight - height.current;
    height.current = element.scrollHeight;
  }, [first]);

  useLayoutEffect(() => {
    if (sent !== undefined) toEnd();
  }, [sent, toEnd]);

  return { scroller, content, isAtEnd, toEnd };
}
