import { checkChoice } from '../../../checks.ts';
import { XlstmError } from '../../../errors.ts';
import { cpuLimits, type EngineLimits } from '../../program/limits.ts';
import type { Program } from '../../program/program.ts';
import type { Region } from '../../program/region.ts';
import type { Draft, DraftOptions, Engine, EngineOptions, Executable, Memory } from '../engine.ts';
import { boundMemories, CheckedMemory, freedProgram } from '../memory.ts';
import { closedError, Stream } from '../stream.ts';
import { Commands } from './commands.ts';
import { findAdapter, openDevice } from './device.ts';
import { Drafts } from './drafts.ts';
import { pageBytesOf } from './pages.ts';
import { Pipelines } from './pipelines.ts';
import { GpuStorage } from './storage.ts';
import { configText, findMatrices, type MatrixUnit } from './subgroup_matrices.ts';

/** What WebGPU's kernels are given: the tiles of the mLSTM's are made for chunks of 64 tokens. */
const webgpuLimits: EngineLimits = {
  ...cpuLimits,
  threadScratch: Number.MAX_SAFE_INTEGER, // workgroups have memory of their own, which kernels check
  longArrays: { fromBytes: Number.MAX_SAFE_INTEGER, gapBytes: 0 },
  mlstmChunk: { narrow: 64, wide: 64, wideFrom: 256, whole: 64 },
  chunksAtOnce: true,
  scanChunk: { tokens: 16, stateElements: 1 << 18 },
};

/** Runs Programs on a graphics processor: a Program is one command buffer, its kernels WGSL made for its shapes. */
export class WebgpuEngine implements Engine {
  readonly name = 'webgpu';
  readonly threads = 1;
  readonly limits = webgpuLimits;
  readonly description: string;
  readonly #device: GPUDevice;
  readonly #pageBytes: number;
  readonly #matrices: MatrixUnit | undefined;
  readonly #pipelines: Pipelines;
  readonly #stream = new Stream();
  readonly #fail = (error: { message: string }): XlstmError => this.#failed(error);
  /** Workspace of all Programs, as large as the largest needs. */
  #work: GpuStorage | undefined;
  #failure: XlstmError | undefined;
  #closing: Promise<void> | undefined;

  /**
   * @param pageBytes See `pageBytesOf`; smaller for tests.
   * @param matrices What large products are computed with; without it registers.
   */
  constructor(
    device: GPUDevice,
    description: string,
    pageBytes = pageBytesOf(device),
    matrices?: MatrixUnit,
  ) {
    this.#device = device;
    this.#pageBytes = pageBytes;
    this.#matrices = matrices;
    this.#pipelines = new Pipelines(device);
    const unit = matrices ? `, products in subgroup matrices of ${configText(matrices.config)}` : '';
    this.description = `webgpu, ${description}${unit}`;
    void device.lost.then(({ reason, message }) => {
      if (!this.#closing) this.#failed(new Error(`the device was lost (${reason}: ${message})`));
    });
    device.addEventListener('uncapturederror', ({ error }) => void this.#failed(error));
  }

  allocate(region: Region): CheckedMemory<GpuStorage> {
    this.#stream.check();
    return new CheckedMemory(region, this.#storage(region.bytes, region.name), this.#stream);
  }

  bind(program: Program, memories: readonly Memory[]): Executable {
    this.#stream.check();
    const bound = boundMemories<GpuStorage>(program, memories, this.#stream);
    const commands = new Commands(program, this.#device, this.#pipelines, this.#pageBytes, this.#matrices);
    this.#reserveWork(program, commands.workBytes);
    const io = this.allocate(program.io);
    for (const { name, values } of program.constants) io.write(name, values);
    bound.set(program.io, io);
    const used = [...bound.values()];
    const storageOf = (region: Region): GpuStorage =>
      region === program.work ? this.#work! : bound.get(region)!.storage;

    let freed = false;
    const check = (): void => {
      this.#stream.check();
      if (freed) throw freedProgram(program);
      for (const memory of used) memory.check();
    };
    // What fails between two runs, such as a write, has failed before this one is over.
    const attempt = async <T>(work: () => Promise<T>): Promise<T> => {
      try {
        const result = await work();
        if (this.#failure) throw this.#failure;
        return result;
      } catch (error) {
        throw this.#failed(error as Error);
      }
    };
    const run = async (): Promise<void> => {
      check();
      const start = (): { done: Promise<unknown> } => {
        commands.submit(storageOf);
        return { done: this.#device.queue.onSubmittedWorkDone() };
      };
      const { done } =
        this.#stream.idle && commands.ready
          ? start()
          : await this.#stream.ask(async () => {
              await commands.compiled;
              return start();
            });
      await attempt(() => done);
    };
    let drafts: Drafts | undefined;
    const draft = async (options: DraftOptions): Promise<Draft> => {
      check();
      drafts ??= new Drafts(this.#device, this.#pipelines);
      const ahead = drafts;
      // Reading is no part of the turn: what is asked for later does not wait for it.
      const { read } = await this.#stream.ask(async () => {
        await Promise.all([commands.compiled, ahead.compiled]);
        const step = (encoder: GPUCommandEncoder): void => commands.record(encoder, storageOf);
        return { read: await attempt(() => ahead.submit(program.io, io.storage, options, step)) };
      });
      return attempt(read);
    };
    const profile = async (): Promise<Float64Array> => {
      check();
      return this.#stream.ask(async () => {
        await commands.compiled;
        return attempt(() => commands.profile(storageOf));
      });
    };
    const free = (): void => {
      if (freed) return;
      freed = true;
      io.free();
      if (!this.#stream.ended) {
        this.#stream.act(() => {
          commands.release();
          drafts?.release();
        });
      }
    };
    return { program, io, run, draft, profile, free, [Symbol.dispose]: free };
  }

  close(): Promise<void> {
    this.#closing ??= this.#stream.end(closedError(this.name)).then(async () => {
      await this.#device.queue.onSubmittedWorkDone().catch(() => {}); // nothing to wait for where it is lost
      this.#device.destroy();
    });
    return this.#closing;
  }

  #storage(bytes: number, what: string): GpuStorage {
    return new GpuStorage(this.#device, bytes, this.#pageBytes, what, this.#fail);
  }

  /** What a kernel left behind is unknown: nothing can go on from here. */
  #failed(error: { readonly message: string }): XlstmError {
    if (error instanceof XlstmError && error !== this.#failure && !this.#failure) {
      this.#failure = error;
    }
    this.#failure ??= new XlstmError(
      'engine',
      `the webgpu engine failed and cannot be used any more: ${error.message}`,
      'create another engine to go on; what was in the memory of this one is lost',
    );
    if (!this.#closing) this.#stream.abandon(this.#failure);
    return this.#failure;
  }

  #reserveWork(program: Program, bytes: number): void {
    const before = this.#work;
    if (before && bytes <= before.bytes) return;
    this.#work = this.#storage(bytes, `the workspace of program ${program.name}`);
    if (before) this.#stream.act(() => before.release());
  }
}

/** The engine of the fastest adapter. A GPU's threads and instructions are its own affair. */
export async function createWebgpuEngine(options: EngineOptions = {}): Promise<WebgpuEngine> {
  for (const name of ['threads', 'instructionSet'] as const) {
    if (options[name] !== undefined)
      throw new XlstmError('usage', `${name}: the webgpu engine has none`, 'leave it out');
  }
  const { subgroupMatrices: operands } = options;
  if (operands !== undefined) checkChoice('subgroupMatrices', operands, ['f32', 'f16']);
  const found = await findAdapter(operands !== undefined);
  const { adapter, features, description } = found;
  const matrices = operands && findMatrices(adapter, features, description, operands);
  const device = await openDevice(found, matrices?.features);
  return new WebgpuEngine(device, description, undefined, matrices);
}
