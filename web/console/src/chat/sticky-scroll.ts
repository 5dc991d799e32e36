// Keeps the newest message in view for those who are there, and everything in its place for those who read above.

import { useCallback, useEffect, useLayoutEffect, useRef, useState } from 'react';

const NEAR_PX = 48;

/** `first` is the oldest message shown, `sent` the last message that the user sent. */
export function useStickyScroll(first: string | undefined, sent: string | undefined) {
  const scroller = useRef<HTMLElement>(null);
  const content = useRef<HTMLDivElement>(null);
  const sticks = useRef(true);
  /** The height of what scrolls, and where it stood, when last looked at. */
  const height = useRef(0);
  const top = useRef(0);
  const [isAtEnd, setIsAtEnd] = useState(true);

  const toEnd = useCallback(() => {
    sticks.current = true;
    const element = scroller.current;
    if (!element) return;
    element.scrollTop = element.scrollHeight;
    top.current = element.scrollTop;
  }, []);

  useEffect(() => {
    const element = scroller.current;
    if (!element) return;
    const onScroll = () => {
      const left = element.scrollHeight - element.scrollTop - element.clientHeight;
      // Text that came since the last look leaves one behind the end as well: only who went up wants to stay there.
      const wentUp = element.scrollTop < top.current - 1 && element.scrollHeight >= height.current;
      if (left < NEAR_PX) sticks.current = true;
      else if (wentUp) sticks.current = false;
      top.current = element.scrollTop;
      setIsAtEnd(sticks.current);
    };
    element.addEventListener('scroll', onScroll, { passive: true });
    const grown = new ResizeObserver(() => {
      if (sticks.current) toEnd();
      else onScroll();
      height.current = element.scrollHeight;
    });
    grown.observe(element);
    if (content.current) grown.observe(content.current);
    return () => {
      element.removeEventListener('scroll', onScroll);
      grown.disconnect();
    };
  }, [toEnd]);

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
