/** What a person, a terminal that closes, and a system that shuts down send. */
const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/** `timeout -s INT` and shells send a signal twice within milliseconds: repeats this soon are the same one. */
const REPEAT_MS = 500;

/** Exit code of something that was ended before it was done. */
export const INTERRUPTED = 130;

/**
 * Runs something that Ctrl-C asks to end: the first time through the signal, so that it can leave its files in order; a
 * second Ctrl-C, later than half a second after the first, ends the process at once.
 */
export async function interruptible<T>(run: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const stop = new AbortController();
  let first = 0;
  const onSignal = (): void => {
    if (!stop.signal.aborted) {
      first = performance.now();
      stop.abort();
    } else if (performance.now() - first >= REPEAT_MS) process.exit(INTERRUPTED);
  };
  for (const name of SIGNALS) process.on(name, onSignal);
  try {
    return await run(stop.signal);
  } finally {
    // Once asked to end, the process is about to: repeats of the signal that arrive while it leaves must not kill it.
    if (!stop.signal.aborted) for (const name of SIGNALS) process.off(name, onSignal);
  }
}
