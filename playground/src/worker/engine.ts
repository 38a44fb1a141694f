import { chooseEngine, type Engine } from 'xlstm';
import type { EngineFacts } from '../protocol.ts';

let chosen: Promise<Engine> | undefined;

/** The one engine of the worker, started when it is first needed. */
export function engine(): Promise<Engine> {
  chosen ??= chooseEngine('auto').then(({ engine }) => engine);
  // The next call tries again, in vain or not.
  chosen.catch(() => {
    chosen = undefined;
  });
  return chosen;
}

export async function engineFacts(): Promise<EngineFacts> {
  const { description, threads } = await engine();
  return { description, threads, isolated: globalThis.crossOriginIsolated === true };
}
