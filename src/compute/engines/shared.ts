import { chooseEngine } from './choose.ts';
import type { Engine } from './engine.ts';

let shared: Promise<Engine> | undefined;

/** The engine of all who name none: the fastest there is, made when the first one asks. */
export function sharedEngine(): Promise<Engine> {
  shared ??= chooseEngine('auto').then(({ engine }) => engine);
  // What there was no engine for may be mended: the next one tries again.
  shared.catch(() => {
    shared = undefined;
  });
  return shared;
}
