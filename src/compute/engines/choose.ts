import { checkNames } from '../../checks.ts';
import { XlstmError } from '../../errors.ts';
import type { Engine, EngineName, EngineOptions } from './engine.ts';
import { availableCores, inNode } from './host.ts';
import { createWasmEngine } from './wasm/engine.ts';

/** What can be asked for. */
export const engineChoices = ['auto', 'native', 'wasm', 'webgpu', 'reference'] as const satisfies (
  | EngineName
  | 'auto'
)[];
/** An engine by its name, or `auto`: native where it loads, else wasm. */
export type EngineChoice = (typeof engineChoices)[number];

/** An engine, and why it is this one. */
export interface ChosenEngine {
  /** To be closed by the caller. */
  readonly engine: Engine;
  /** Why this one, and what is to be feared of it, for a person: callers always show it. */
  readonly reason: string;
}

/**
 * The engine called `name`; `auto` takes native where it loads, else wasm. A named engine that is not there is an
 * error of code `engine`, and so are threads that are not from 1 to 256: nothing takes their place in silence.
 */
export async function chooseEngine(name: EngineChoice, options: EngineOptions = {}): Promise<ChosenEngine> {
  checkNames('chooseEngine', options, ['threads', 'instructionSet', 'subgroupMatrices']);
  checkThreads(options.threads);
  if (options.subgroupMatrices !== undefined && name !== 'webgpu')
    throw new XlstmError(
      'usage',
      `subgroupMatrices: the engine "${name}" has none`,
      'leave it out, or ask for webgpu',
    );
  const { engine, reason } = await choose(name, options);
  const cores = await availableCores();
  const crowded = `; warning: ${engine.threads} threads share ${cores} ${cores === 1 ? 'core' : 'cores'} and wait for each other`;
  return { engine, reason: engine.threads > cores ? reason + crowded : reason };
}

async function choose(name: EngineChoice, options: EngineOptions): Promise<ChosenEngine> {
  switch (name) {
    case 'reference': {
      const { createReferenceEngine } = await import('./reference/engine.ts');
      return { engine: createReferenceEngine(), reason: 'asked for by name' };
    }
    case 'wasm':
      return { engine: await createWasmEngine(options), reason: 'asked for by name' };
    case 'native':
      return { engine: await createNative(options), reason: 'asked for by name' };
    case 'webgpu': {
      const { createWebgpuEngine } = await import('./webgpu/engine.ts');
      return { engine: await createWebgpuEngine(options), reason: 'asked for by name' };
    }
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
    const engine = await createWasmEngine(options).catch((other: unknown) => {
      if (!(other instanceof XlstmError)) throw other;
      throw noEngine(error, other);
    });
    return { engine, reason: `always there; native is not: ${error.message}${hint}` };
  }
}

const noEngine = (native: XlstmError, wasm: XlstmError): XlstmError =>
  new XlstmError(
    'engine',
    `no engine: native: ${native.message}; wasm: ${wasm.message}`,
    [native.hint, wasm.hint].filter((hint) => hint !== undefined).join(', or '),
  );

async function createNative(options: EngineOptions): Promise<Engine> {
  if (!inNode) throw new XlstmError('engine', 'browsers run no native code', 'use the wasm engine');
  const { createNativeEngine } = await import('./native/engine.ts');
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
