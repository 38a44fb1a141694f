import { XlstmError } from '../../../errors.ts';
import { bytesOf } from '../../program/dtypes.ts';
import type { Program } from '../../program/program.ts';
import type { Region } from '../../program/region.ts';
import { lowerings } from './kernels.ts';
import { callsByPage } from './pages.ts';
import type { Pipelines } from './pipelines.ts';
import { callOf, gridOf, type Shader, shaderOf } from './shader.ts';
import { type GpuStorage, usage } from './storage.ts';
import type { MatrixUnit } from './subgroup_matrices.ts';

/** Offsets of a uniform binding are multiples of it, at most. */
const UNIFORM_ALIGNMENT = 256;

interface Step extends Shader {
  readonly instruction: number;
  readonly kernel: string;
  /** Bytes from the start of the buffer of words. */
  readonly at: number;
}

/** A Program as dispatches: compiled from its binding on, submitted at once for each run. */
export class Commands {
  /** Resolves when every pipeline is there. */
  readonly compiled: Promise<void>;
  /** Workspace: the Program's, and behind it what dispatches need for themselves. */
  readonly workBytes: number;
  readonly #program: Program;
  readonly #device: GPUDevice;
  readonly #pipelines: Pipelines;
  readonly #steps: readonly Step[];
  /** Binding 0 of every step. */
  readonly #words: GPUBuffer;
  #ready: readonly GPUComputePipeline[] | undefined;
  #groups: GPUBindGroup[] = [];
  /** The memories that the groups were made for. */
  #boundTo = new Map<Region, GpuStorage>();

  constructor(
    program: Program,
    device: GPUDevice,
    pipelines: Pipelines,
    pageBytes: number,
    matrices: MatrixUnit | undefined,
  ) {
    this.#program = program;
    this.#device = device;
    this.#pipelines = pipelines;
    const { steps, workBytes } = stepsOf(program, device, pageBytes, matrices);
    this.#steps = steps;
    this.workBytes = workBytes;
    const last = this.#steps.at(-1);
    const bytes = last ? last.at + last.words.byteLength : 0;
    const words = new Uint32Array(Math.ceil(bytes / UNIFORM_ALIGNMENT + 1) * (UNIFORM_ALIGNMENT / 4));
    for (const step of this.#steps) words.set(step.words, step.at / 4);
    this.#words = device.createBuffer({
      label: `words of program ${program.name}`,
      size: words.byteLength,
      usage: usage.uniform | usage.copyTarget,
    });
    device.queue.writeBuffer(this.#words, 0, words);
    const compiling = this.#steps.map(({ kernel, text, pages }) =>
      pipelines.compile(kernel, text, pages.length),
    );
    this.compiled = Promise.all(compiling).then((ready) => {
      this.#ready = ready;
    });
    this.compiled.catch(() => {}); // whoever runs it hears of it
  }

  get ready(): boolean {
    return this.#ready !== undefined;
  }

  submit(storageOf: (region: Region) => GpuStorage): void {
    const commands = this.#device.createCommandEncoder();
    this.record(commands, storageOf);
    this.#device.queue.submit([commands.finish()]);
  }

  /** Adds one run to commands. */
  record(commands: GPUCommandEncoder, storageOf: (region: Region) => GpuStorage): void {
    this.#bind(storageOf);
    const pass = commands.beginComputePass();
    for (const index of this.#steps.keys()) this.#dispatch(pass, index);
    pass.end();
  }

  /** Seconds of each instruction, each in a pass of its own between two timestamps. */
  async profile(storageOf: (region: Region) => GpuStorage): Promise<Float64Array> {
    const device = this.#device;
    if (!device.features.has('timestamp-query')) {
      throw new XlstmError('engine', 'this graphics processor or browser measures no time (timestamp-query)');
    }
    this.#bind(storageOf);
    const seconds = new Float64Array(this.#program.instructions.length);
    const MOST = 2048; // queries of a set: 4096
    for (let from = 0; from < this.#steps.length; from += MOST) {
      const count = Math.min(MOST, this.#steps.length - from);
      const queries = device.createQuerySet({ type: 'timestamp', count: 2 * count });
      const resolved = device.createBuffer({
        size: 16 * count,
        usage: usage.queryResolve | usage.copySource,
      });
      const staging = device.createBuffer({ size: 16 * count, usage: usage.mapRead | usage.copyTarget });
      const commands = device.createCommandEncoder();
      for (let i = 0; i < count; i++) {
        const pass = commands.beginComputePass({
          timestampWrites: {
            querySet: queries,
            beginningOfPassWriteIndex: 2 * i,
            endOfPassWriteIndex: 2 * i + 1,
          },
        });
        this.#dispatch(pass, from + i);
        pass.end();
      }
      commands.resolveQuerySet(queries, 0, 2 * count, resolved, 0);
      commands.copyBufferToBuffer(resolved, 0, staging, 0, 16 * count);
      device.queue.submit([commands.finish()]);
      await staging.mapAsync(usage.mapRead);
      const times = new BigInt64Array(staging.getMappedRange().slice(0));
      for (let i = 0; i < count; i++) {
        seconds[this.#steps[from + i].instruction] += Number(times[2 * i + 1] - times[2 * i]) / 1e9;
      }
      for (const owned of [queries, resolved, staging]) owned.destroy();
    }
    return seconds;
  }

  release(): void {
    this.#words.destroy();
    this.#groups = [];
    this.#boundTo.clear();
  }

  #dispatch(pass: GPUComputePassEncoder, index: number): void {
    pass.setPipeline(this.#ready![index]);
    pass.setBindGroup(0, this.#groups[index]);
    pass.dispatchWorkgroups(...gridOf(this.#steps[index].groups));
  }

  /** Anew only where a memory is another one than before, as the workspace after it has grown. */
  #bind(storageOf: (region: Region) => GpuStorage): void {
    const { regions } = this.#program;
    if (this.#boundTo.size > 0 && regions.every((region) => this.#boundTo.get(region) === storageOf(region)))
      return;
    this.#boundTo = new Map(regions.map((region) => [region, storageOf(region)]));
    this.#groups = this.#steps.map(({ kernel, pages, words, at }) =>
      this.#device.createBindGroup({
        label: kernel,
        layout: this.#pipelines.layout(pages.length),
        entries: [
          {
            binding: 0,
            resource: {
              buffer: this.#words,
              offset: at,
              size: 16 * Math.ceil(words.length / 4),
            },
          },
          ...pages.map(({ region, index }, i) => ({
            binding: i + 1,
            resource: { buffer: storageOf(region).pages[index] },
          })),
        ],
      }),
    );
  }
}

function stepsOf(
  program: Program,
  { limits, features }: GPUDevice,
  pageBytes: number,
  matrices: MatrixUnit | undefined,
): { steps: Step[]; workBytes: number } {
  const steps: Step[] = [];
  const spare = { region: program.work, offset: program.work.bytes, bytes: 0, label: 'spare' };
  const target = { subgroups: features.has('subgroups'), pageBytes, spare };
  let spareElements = 0;
  let at = 0;
  for (const [index, instruction] of program.instructions.entries()) {
    const { kernel } = instruction;
    for (const part of callsByPage(instruction, pageBytes)) {
      const call = callOf(part);
      for (const dispatch of lowerings[kernel](call, matrices)) {
        const shader = shaderOf(part, call, dispatch, target);
        requireLimits(program, kernel, shader, limits);
        spareElements = Math.max(spareElements, dispatch.spare ?? 0);
        steps.push({ ...shader, instruction: index, kernel, at });
        at += Math.ceil(shader.words.byteLength / UNIFORM_ALIGNMENT) * UNIFORM_ALIGNMENT;
      }
    }
  }
  return { steps, workBytes: program.work.bytes + bytesOf('f32', spareElements) };
}

/** Refuses what the graphics processor does not take. */
function requireLimits(
  program: Program,
  kernel: string,
  { text, pages }: Shader,
  { maxComputeWorkgroupStorageSize, maxStorageBuffersPerShaderStage }: GPUSupportedLimits,
): void {
  const shared = workgroupBytes(text);
  if (shared > maxComputeWorkgroupStorageSize) {
    throw new XlstmError(
      'engine',
      `program ${program.name}: kernel ${kernel} takes ${shared.toLocaleString('en-US')} bytes of workgroup ` +
        `memory, the graphics processor has ${maxComputeWorkgroupStorageSize.toLocaleString('en-US')}`,
      'use a model with narrower heads, or another engine',
    );
  }
  if (pages.length > maxStorageBuffersPerShaderStage) {
    throw new XlstmError(
      'engine',
      `program ${program.name}: kernel ${kernel} reads and writes ${pages.length} buffers, the graphics ` +
        `processor takes ${maxStorageBuffersPerShaderStage} at once`,
      'use a smaller batch, context or model, or another engine',
    );
  }
}

const elementBytes: Readonly<Record<string, number>> = { vec4f: bytesOf('f32', 4), f16: bytesOf('f32') / 2 };

/** Bytes of workgroup memory that a shader declares: scalars and arrays of words, of four of them, and of f16. */
function workgroupBytes(text: string): number {
  const declared = text.matchAll(/var<workgroup> \w+: (?:array<(\w+), (\d+)>|\w+);/g);
  return [...declared].reduce(
    (sum, [, element, count]) => sum + (elementBytes[element] ?? bytesOf('f32')) * Number(count ?? 1),
    0,
  );
}
