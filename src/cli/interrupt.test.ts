import { afterEach, describe, expect, it, vi } from 'vitest';
import { INTERRUPTED, interruptible } from './interrupt.ts';

const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
afterEach(() => {
  vi.restoreAllMocks();
  for (const name of signals) process.removeAllListeners(name);
});

describe.each(signals)('%s', (name) => {
  it('asks to end; repeats within half a second are the same, a later one ends at once', async () => {
    let now = 1000;
    vi.spyOn(performance, 'now').mockImplementation(() => now);
    const exit = vi.spyOn(process, 'exit').mockImplementation(() => undefined as never);
    await interruptible(async (signal) => {
      expect(signal.aborted).toBe(false);
      process.emit(name);
      expect(signal.aborted).toBe(true);
      for (const later of [1, 5, 499]) {
        now = 1000 + later;
        for (const other of signals) process.emit(other);
      }
      expect(exit).not.toHaveBeenCalled();
      now = 1500;
      process.emit(name);
      expect(exit).toHaveBeenCalledExactlyOnceWith(INTERRUPTED);
    });
    // Repeats that arrive while the process leaves must not kill it.
    expect(process.listenerCount(name)).toBe(1);
  });
});

it('listens no longer after an error', async () => {
  await expect(interruptible(() => Promise.reject(new Error('no')))).rejects.toThrow('no');
  for (const name of signals) expect(process.listenerCount(name)).toBe(0);
});
