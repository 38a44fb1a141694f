import { XlstmError } from '../errors.ts';
import type { Engine, EngineName, EngineOptions } from './engine.ts';
import { inNode } from './host.ts';
import { createWasmEngine } from './wasm.ts';

export const engineChoices = ['auto', 'native', 'wasm', 'reference'] as const satisfies (
  | EngineName
  | 'auto'
)[];
export type EngineChoice = (typeof engineChoices)[number];

export interface ChosenEngine {
  readonly engine: Engine;
  /** Why this one, for a person: callers always show it. */
  readonly reason: string;
}

/**
 * The engine called `name`; `auto` takes native where it loads, else wasm. A named engine that is not there is an
 * error: nothing takes its place in silence.
 */
export async function chooseEngine(name: EngineChoice, options: EngineOptions = {}): Promise<ChosenEngine> {
  checkThreads(options.threads);
  switch (name) {
    case 'reference': {
      const { createReferenceEngine } = await import('./reference/engine.ts');
      return { engine: createReferenceEngine(), reason: 'asked for by name' };
    }
    case 'wasm':
      return { engine: await createWasmEngine(options), reason: 'asked for by name' };
    case 'native':
      return { engine: await createNative(options), reason: 'asked for by name' };
    case 'auto':
      return chooseFastest(options);
    default:
      throw new XlstmError(
        'engine',
        `there is no engine "${name}"`,
        `choose one of ${engineChoices.join(', ')}`,
      );
  }
}

async function chooseFastest(options: EngineOptions): Promise<ChosenEngine> {
  if (!inNode) return { engine: await createWasmEngine(options), reason: 'the engine of browsers' };
  try {
    return { engine: await createNative(options), reason: 'the native library loads and is the fastest' };
  } catch (error) {
    if (!(error instanceof XlstmError)) throw error;
    const hint = error.hint ? ` (${error.hint})` : '';
    return {
      engine: await createWasmEngine(options),
      reason: `always there; native is not: ${error.message}${hint}`,
    };
  }
}

async function createNative(options: EngineOptions): Promise<Engine> {
  if (!inNode) throw new XlstmError('engine', 'browsers run no native code', 'use the wasm engine');
  const { createNativeEngine } = await import('./native.ts');
  return createNativeEngine(options);
}

const MAX_THREADS = 256;

function checkThreads(threads: number | undefined): void {
  if (threads === undefined) return;
  if (!Number.isInteger(threads) || threads < 1 || threads > MAX_THREADS) {
    throw new XlstmError(
      'engine',
      `threads is ${threads}`,
      `give a whole number from 1 to ${MAX_THREADS}, or none for the machine's cores`,
    );
  }
}
