/** Milliseconds that a chain of calls that never waits may keep the event loop. */
const TURN = 12;

let lastTurn = 0;

/** Gives timers, signals and input a turn when they have had none for a while; else returns nothing to wait for. */
export function shareEventLoop(): void | Promise<void> {
  if (performance.now() - lastTurn < TURN) return;
  return turn().then(() => {
    lastTurn = performance.now();
  });
}

/** Gives timers, signals and input a turn. */
export function turn(): Promise<void> {
  if (typeof setImmediate === 'function') return new Promise((resolve) => setImmediate(resolve));
  // Browsers delay timers that call each other; messages they do not.
  return new Promise((resolve) => {
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = () => {
      port1.close();
      resolve();
    };
    port2.postMessage(undefined);
  });
}
