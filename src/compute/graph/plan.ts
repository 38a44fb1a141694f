import { invariant, XlstmError } from '../../errors.ts';
import { bytesOf } from '../program/dtypes.ts';
import { strideOf } from '../program/kernels/kernel.ts';
import { fitsThread, type KernelName, kernels } from '../program/kernels.ts';
import { type EngineLimits, requireKernel } from '../program/limits.ts';
import { type Instruction, Program, type Word } from '../program/program.ts';
import { ENTRY_ALIGNMENT, Region, shapeText, sizeOf } from '../program/region.ts';
import { reachable } from './differentiate.ts';
import { compile, fuse, Group } from './fuse.ts';
import { lower } from './lower.ts';
import { Buffer, keepApart, pack } from './memory.ts';
import type { Emitter, KernelArrays, KernelNumbers, Matrix, Named, Node, Place } from './op.ts';
import { choosePlacements, type Placement } from './placements.ts';
import { leafOf, type Tensor } from './tensor.ts';

/** What `plan` makes a Program of. */
export interface PlanOptions {
  /** Holds the graph's inputs and outputs: the Program's `io` has them, and constants behind them. */
  io: Region;
  /** Assignments and other effects: what the Program is for. */
  roots: readonly Tensor[];
  /** What the engine that will run the Program takes (its `limits`). */
  limits: EngineLimits;
  /**
   * bf16: the products of dense layers (`linear`, `matmul`), those within the chunks of `mlstm` and those of the gradients of both
   * take their operands rounded to bfloat16;
   * everything else stays as it is. An engine that cannot do it is refused. Default: f32.
   */
  precision?: Precision;
}

/** What the operands of matrix products are rounded to. f32: they are not. bf16: they are, and sums are float32. */
export type Precision = 'f32' | 'bf16';
export const precisions: readonly Precision[] = ['f32', 'bf16'];

/**
 * Fits a graph to an engine: replaces what its kernels do not take, orders the operations, fuses elementwise chains,
 * places every array in memory, and returns the flat list of kernel calls. Throws a `config` error where a call or a
 * region is larger than the engine's limits allow. The graph stays as it is and can be planned again.
 *
 * @param options The graph, and the engine that it is for.
 */
export function plan(name: string, { io, roots: traced, limits, precision = 'f32' }: PlanOptions): Program {
  const roots = lower(traced, limits);
  const nodes = reachable(roots);
  const planner = new Planner({ io, roots, limits, precision }, nodes);
  for (const item of fuse(nodes, new Set(roots))) {
    if (item instanceof Group) planner.map(item);
    else planner.emit(item);
  }
  return planner.finish(name);
}

interface Storage {
  readonly base: Buffer | Region;
  /** In bytes. */
  readonly offset: number;
  /** Distance between the rows of the tensor that lies here, in elements. */
  readonly ld: number;
}

interface Call {
  readonly kernel: KernelName;
  readonly words: readonly (number | Place)[];
}

class Planner implements Emitter {
  readonly limits: EngineLimits;
  readonly precision: Precision;
  /** The graph's own, and the Program's. */
  readonly #declared: Region;
  readonly #io: Region;
  /** The operation that is being planned, for errors. */
  #node: Node | undefined;
  readonly #calls: Call[] = [];
  readonly #buffers: Buffer[] = [];
  readonly #storage = new Map<Tensor, Storage>();
  readonly #placements: Map<Tensor, Placement>;
  readonly #used: Set<Tensor>;
  /** Nodes with a backward pass in the graph. */
  readonly #differentiated = new Set<Node>();
  readonly #residuals = new Map<Node, Map<string, Place>>();
  readonly #constants: { name: string; values: readonly number[] }[] = [];

  constructor({ io, roots, limits, precision }: Required<PlanOptions>, nodes: readonly Node[]) {
    this.#declared = io;
    this.#io = io.mirror(io.name);
    this.limits = limits;
    this.precision = precision;
    this.#used = new Set(roots);
    for (const node of nodes) {
      for (const input of Object.values(node.inputs)) this.#used.add(input);
      if (node.forward) this.#differentiated.add(node.forward);
    }
    this.#placements = choosePlacements(nodes);
  }

  emit(node: Node): void {
    this.#node = node;
    invariant(node.op.emit !== undefined, `${node.op.name} reached the planner outside a group`);
    node.op.emit(node, this);
    this.#node = undefined;
  }

  matrix(t: Tensor): Matrix {
    const lies = this.#locate(t);
    const { base, offset, ld } = lies;
    return { at: { base, offset, bytes: extent(t, lies), label: String(t) }, ld };
  }

  get differentiated(): boolean {
    return this.#differentiated.has(this.#node as Node);
  }

  call<K extends KernelName, Residuals extends string>(
    kernel: K,
    arrays: KernelArrays<K, Residuals>,
    numbers: KernelNumbers<K>,
    residuals: readonly Residuals[] = [],
  ): void {
    const { operands, scratch } = kernels[kernel];
    const given: Record<string, number | Place> = { ...numbers };
    for (const [name, kind] of Object.entries(operands)) {
      if (kind === 'int' || kind === 'float' || kind === 'scratch') continue;
      const isInput = kind === 'in' || kind === 'in?';
      const t = ((isInput ? arrays.inputs : arrays.outputs) as Partial<Named>)[name];
      if (residuals.includes(name as Residuals)) {
        given[name] = this.#residual(name);
        continue;
      }
      invariant(t !== undefined || kind.endsWith('?'), `${kernel}: ${name} is missing`);
      if (!t || (kind === 'out?' && !this.#used.has(t))) continue;
      const stride = strideOf(operands, name);
      const { at, ld } = stride || !isInput ? this.matrix(t) : this.#gapless(t);
      given[name] = at;
      if (stride) given[stride] ??= ld;
      else invariant(ld === t.cols || t.rows === 1, `${kernel}: ${name} cannot be a slice of a matrix`);
    }
    const sizes: Record<string, number> = {};
    for (const [operand, value] of Object.entries(given))
      sizes[operand] = typeof value === 'number' ? value : 1;
    this.#checkLimits(kernel, sizes);
    const words = Object.entries(operands).map(([operand, kind]) => {
      if (kind !== 'scratch') return given[operand] ?? 0;
      const elements = scratch?.(sizes, this.limits) ?? 0;
      return { base: this.#newBuffer(elements), offset: 0, bytes: bytes(elements), label: 'scratch' };
    });
    this.#push({ kernel, words });
  }

  alias(out: Tensor, source: Tensor, column = 0): void {
    const from = this.#locate(source);
    const sameRows = out.rows === source.rows && out.rows > 1;
    if (sameRows || from.ld === source.cols || source.rows === 1) {
      this.#storage.set(out, {
        ...from,
        offset: from.offset + bytes(column),
        ld: sameRows ? from.ld : out.cols,
      });
      return;
    }
    const packed = this.#newStorage(sizeOf(source.shape), source.cols);
    this.#copy(source, packed);
    this.#storage.set(out, { ...packed, offset: bytes(column), ld: out.cols });
  }

  aliasRows(out: Tensor, source: Tensor, first: number, step: number): void {
    const from = this.#locate(source);
    this.#storage.set(out, { ...from, offset: from.offset + bytes(first * from.ld), ld: step * from.ld });
  }

  regionAlias(out: Tensor, region: Region, offset: number): void {
    this.#storage.set(out, { base: this.#own(region), offset: bytes(offset), ld: out.cols });
  }

  place(input: Tensor, target: Tensor, column: number): void {
    const there = slice(this.#locate(target), input, target, column);
    const here = this.#locate(input);
    const moved =
      here.base !== there.base || here.offset !== there.offset || (input.rows > 1 && here.ld !== there.ld);
    if (moved) this.#copy(input, there);
  }

  constant(out: Tensor, values: readonly number[]): void {
    const { name } = this.#io.add(`constant:${this.#constants.length}`, out.shape);
    this.#constants.push({ name, values });
    this.#storage.set(out, { base: this.#io, offset: this.#entry(this.#io, name), ld: out.cols });
  }

  /** One call of the map kernel for a group of elementwise nodes. */
  map(group: Group): void {
    if (group.stored.size === 0) return;
    const same = (a: Tensor, b: Tensor): boolean => {
      const [x, y] = [this.#locate(a), this.#locate(b)];
      return x.base === y.base && x.offset < y.offset + extent(b, y) && y.offset < x.offset + extent(a, x);
    };
    const { inputs, outputs, temporaries, steps } = compile(group, same);
    const words: (number | Place)[] = [
      group.rows,
      group.cols,
      inputs.length,
      outputs.length,
      temporaries,
      steps.length,
    ];
    for (const t of inputs) {
      const { at, ld } = this.matrix(t);
      const one = sizeOf(t.shape) === 1;
      const oneRow = t.rows === 1 && group.rows > 1;
      words.push(at, one || oneRow ? 0 : ld, one || (t.cols === 1 && group.cols > 1) ? 0 : 1);
    }
    for (const t of outputs) {
      const { at, ld } = this.matrix(t);
      words.push(at, ld);
    }
    this.#checkLimits('map', {
      inputs: inputs.length,
      outputs: outputs.length,
      temporaries,
      steps: steps.length,
    });
    this.#push({ kernel: 'map', words: [...words, ...steps.flat()] });
  }

  finish(name: string): Program {
    const work = new Region('work');
    const { apart } = this.limits;
    if (apart) keepApart(this.#buffers, this.#io);
    else {
      const needed = pack(this.#buffers);
      if (needed > 0) work.add('work', [needed / bytes(1)]);
    }
    const instructions: Instruction[] = this.#calls.map(({ kernel, words }) => ({
      kernel,
      words: words.map((word): Word => {
        if (typeof word === 'number') return word;
        const { base, offset, ...described } = word;
        return base instanceof Buffer
          ? { region: apart ? this.#io : work, offset: base.offset + offset, ...described }
          : { region: base, offset, ...described };
      }),
    }));
    const program = new Program(name, instructions, work, this.#io, this.#constants);
    for (const region of program.regions) {
      if (region.bytes > this.limits.largestBinding) throw tooLarge(program, region, this.limits);
    }
    return program;
  }

  /** The kernels do not check what they write to a thread's workspace. */
  #checkLimits(kernel: KernelName, sizes: Readonly<Record<string, number>>): void {
    requireKernel(`${this.#node?.op.name ?? kernel} takes ${kernel}`, kernel, this.limits);
    if (fitsThread(kernel, sizes, this.limits)) return;
    const needed = kernels[kernel].threadScratch?.(sizes) ?? 0;
    const { threadScratch } = this.limits;
    const node = this.#node;
    const of = node
      ? `${node.op.name} of ${Object.values(node.inputs)
          .map(({ shape }) => shapeText(shape))
          .join(', ')}`
      : kernel;
    const numbers = Object.entries(kernels[kernel].operands).filter(
      ([name, kind]) => kind === 'int' && !name.startsWith('ld'),
    );
    const text = numbers.map(([name]) => `${name} ${sizes[name]}`).join(', ');
    throw new XlstmError(
      'config',
      `${of}: kernel ${kernel} (${text}) takes a workspace of ${count(needed)} elements for each thread, the engine has ${count(threadScratch)}`,
      'make the operation smaller: fewer taps, a shorter chunk, narrower heads',
    );
  }

  /** A matrix whose rows follow each other: a copy, where they do not. */
  #gapless(t: Tensor): Matrix {
    const lies = this.matrix(t);
    if (lies.ld === t.cols || t.rows === 1) return lies;
    const packed = this.#newStorage(sizeOf(t.shape), t.cols);
    this.#copy(t, packed);
    const { base, offset } = packed;
    return { at: { base, offset, bytes: extent(t, packed), label: `${t} packed` }, ld: t.cols };
  }

  /** Of the node that is planned, or of the one whose backward pass it is. */
  #residual(name: string): Place {
    const node = this.#node as Node;
    const owner = node.forward ?? node;
    if (!this.#differentiated.has(owner)) return 0;
    let places = this.#residuals.get(owner);
    if (!places) {
      const shapes = Object.entries(owner.op.residuals?.(owner, this) ?? {});
      places = new Map(
        shapes.map(([key, shape]) => {
          const label = `${owner.op.name}#${owner.id}.${key}${shapeText(shape)}`;
          const elements = sizeOf(shape);
          return [key, { base: this.#newBuffer(elements), offset: 0, bytes: bytes(elements), label }];
        }),
      );
      this.#residuals.set(owner, places);
    }
    const place = places.get(name);
    invariant(place !== undefined, `${owner.op.name} leaves no "${name}" for its backward pass`);
    return place;
  }

  #push(call: Call): void {
    for (const word of call.words) {
      if (typeof word !== 'number' && word.base instanceof Buffer) word.base.touch(this.#calls.length);
    }
    this.#calls.push(call);
  }

  #newBuffer(elements: number): Buffer {
    const buffer = new Buffer(bytes(elements), this.limits);
    this.#buffers.push(buffer);
    return buffer;
  }

  #newStorage(elements: number, ld: number): Storage {
    return { base: this.#newBuffer(elements), offset: 0, ld };
  }

  #copy(from: Tensor, to: Storage): void {
    const source = this.matrix(from);
    const { base, offset } = to;
    const target: Place = { base, offset, bytes: extent(from, to), label: `copy of ${from}` };
    const step = [0, 1, 0, 0, 0]; // copy register 0 to register 1
    this.#push({
      kernel: 'map',
      words: [from.rows, from.cols, 1, 1, 0, 1, source.at, source.ld, 1, target, to.ld, ...step],
    });
  }

  /** Where a tensor lies; decides it when asked for the first time. */
  #locate(t: Tensor): Storage {
    const known = this.#storage.get(t);
    if (known) return known;
    const leaf = leafOf(t);
    const placement = this.#placements.get(t);
    let storage: Storage;
    if (leaf)
      storage = { base: this.#own(leaf.region), offset: this.#entry(leaf.region, leaf.name), ld: t.cols };
    else if (placement)
      storage = slice(this.#locate(placement.target), t, placement.target, placement.column);
    else storage = this.#newStorage(sizeOf(t.shape), t.cols);
    this.#storage.set(t, storage);
    return storage;
  }

  #own(region: Region): Region {
    return region === this.#declared ? this.#io : region;
  }

  /** Where an entry begins. */
  #entry(region: Region, name: string): number {
    const { offset } = region.get(name);
    const { alignment } = this.limits;
    if (offset % alignment === 0) return offset;
    throw new XlstmError(
      'config',
      `region ${region.name}: "${name}" begins at byte ${count(offset)}, the engine needs multiples of ${alignment}`,
      `regions lay their entries out at multiples of ${ENTRY_ALIGNMENT}: use an engine that takes that`,
    );
  }
}

const count = (n: number): string => n.toLocaleString('en-US');

function tooLarge(program: Program, region: Region, { largestBinding }: EngineLimits): XlstmError {
  const what = region === program.work ? 'its workspace' : `region ${region.name}`;
  return new XlstmError(
    'config',
    `program ${program.name}: ${what} takes ${count(region.bytes)} bytes, the engine takes ${count(largestBinding)} at once`,
    region === program.work || region === program.io
      ? 'use a smaller batch or shorter sequences'
      : 'use a smaller model, or an engine that takes more',
  );
}

const bytes = (elements: number): number => bytesOf('f32', elements);

const extent = (t: Tensor, { ld }: Storage): number => bytes((t.rows - 1) * ld + t.cols);

/** The part of a target's storage that begins at a column; a tensor of the target's size fills it whole. */
function slice(target: Storage, t: Tensor, whole: Tensor, column: number): Storage {
  const fills = sizeOf(t.shape) === sizeOf(whole.shape);
  return { base: target.base, offset: target.offset + bytes(column), ld: fills ? t.cols : target.ld };
}
