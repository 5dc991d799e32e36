// How long to wait before trying again: exponential with full jitter, so that many clients do not come back at once.

/** Milliseconds before try number `attempt` (from 0): anything up to `base` doubled each time, at most `cap`. */
export function backoff(attempt: number, base: number, cap: number): number {
  return Math.random() * Math.min(cap, base * 2 ** Math.min(attempt, 30));
}
