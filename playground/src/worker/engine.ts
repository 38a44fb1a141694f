import { chooseEngine, type Engine, type XlstmError } from 'xlstm';
import type { EngineFacts, EngineOrder } from '../protocol.ts';

interface Started {
  readonly engine: Engine;
  /** Why it is not a graphics processor's, where that was wanted. */
  readonly insteadOf: string | undefined;
}

let order: EngineOrder = { choice: 'auto', lost: undefined };
let started: Promise<Started> | undefined;
let running: Engine | undefined;

/** Says what is to compute, before anything has. */
export async function useEngine(wanted: EngineOrder): Promise<void> {
  order = wanted;
}

/** The one engine of the worker, started when it is first needed. */
export const engine = async (): Promise<Engine> => (await start()).engine;

export async function engineFacts(): Promise<EngineFacts> {
  const { engine, insteadOf } = await start();
  const { name, description, threads } = engine;
  return { name, description, threads, isolated: globalThis.crossOriginIsolated === true, insteadOf };
}

/**
 * Whether an error says that the engine that was started is of no more use. What a graphics processor refuses,
 * WebAssembly may take.
 */
export function engineIsLost(error: unknown): boolean {
  const { code, message } = error as Partial<XlstmError>;
  if (!running || code !== 'engine') return false;
  return running.name === 'webgpu' || (message ?? '').includes('cannot be used any more');
}

function start(): Promise<Started> {
  started ??= choose(order).then((chosen) => {
    running = chosen.engine;
    return chosen;
  });
  // The next call tries again, in vain or not.
  started.catch(() => {
    started = undefined;
  });
  return started;
}

/** That of a graphics processor where there is one, else WebAssembly's. */
async function choose({ choice, lost }: EngineOrder): Promise<Started> {
  if (choice === 'wasm') return onProcessor(undefined);
  if (lost !== undefined) return onProcessor(lost);
  if (choice === 'auto' && (await isSoftware()))
    return onProcessor('WebGPU is there, but computed by the processor, on which WebAssembly is faster');
  try {
    return { engine: (await chooseEngine('webgpu')).engine, insteadOf: undefined };
  } catch (error) {
    return onProcessor((error as Error).message);
  }
}

const onProcessor = async (insteadOf: string | undefined): Promise<Started> => ({
  engine: (await chooseEngine('wasm')).engine,
  insteadOf,
});

/** Whether what WebGPU offers is a graphics processor in software. */
async function isSoftware(): Promise<boolean> {
  const adapter = await navigator.gpu?.requestAdapter({ powerPreference: 'high-performance' });
  return adapter?.info.isFallbackAdapter === true;
}
