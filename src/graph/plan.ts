import { invariant } from '../errors.ts';
import { type KernelName, kernels } from '../program/kernels.ts';
import { type Instruction, Program, type Word } from '../program/program.ts';
import { Region, sizeOf } from '../program/region.ts';
import { reachable } from './differentiate.ts';
import { type ElementwiseAttributes, elementwiseOp, isElementwise } from './elementwise.ts';
import type { Emitter, Matrix, Operands, Place } from './emit.ts';
import { compile, fuse, Group } from './fuse.ts';
import { Buffer, pack } from './memory.ts';
import { leafOf, type Node, type Tensor } from './tensor.ts';

export interface PlanOptions {
  /** Holds the Program's inputs and outputs; constants are added to it. */
  io: Region;
  /** Assignments and other effects: what the Program is for. */
  roots: readonly Tensor[];
  /** Id of the first node of the backward pass (currentId() before differentiate). */
  backwardFrom?: number;
}

/** Orders a graph, fuses elementwise chains, places every array in memory, and returns the flat list of kernel calls. */
export function plan(
  name: string,
  { io, roots, backwardFrom = Number.POSITIVE_INFINITY }: PlanOptions,
): Program {
  const nodes = reachable(roots);
  const planner = new Planner(io, nodes, roots);
  for (const item of fuse(nodes, new Set(roots), backwardFrom)) {
    if (item instanceof Group) planner.map(item);
    else item.op.emit(item, planner);
  }
  return planner.finish(name);
}

interface Storage {
  readonly base: Buffer | Region;
  readonly offset: number;
  /** Distance between the rows of the tensor that lies here. */
  readonly ld: number;
}

interface Placement {
  readonly target: Tensor;
  readonly column: number;
}

interface Call {
  readonly kernel: KernelName;
  readonly words: readonly (number | Place)[];
}

class Planner implements Emitter {
  readonly #io: Region;
  readonly #calls: Call[] = [];
  readonly #buffers: Buffer[] = [];
  readonly #storage = new Map<Tensor, Storage>();
  readonly #placements: Map<Tensor, Placement>;
  readonly #used: Set<Tensor>;
  readonly #constants: { name: string; values: readonly number[] }[] = [];

  constructor(io: Region, nodes: readonly Node[], roots: readonly Tensor[]) {
    this.#io = io;
    this.#used = new Set(roots);
    for (const node of nodes) for (const input of node.inputs) if (input) this.#used.add(input);
    this.#placements = choosePlacements(nodes);
  }

  matrix(t: Tensor | undefined): Matrix {
    if (!t) return { at: 0, ld: 0 };
    const { base, offset, ld } = this.#locate(t);
    return { at: { base, offset, label: String(t) }, ld };
  }

  wanted(t: Tensor): Matrix {
    return this.#used.has(t) ? this.matrix(t) : { at: 0, ld: 0 };
  }

  contiguous(t: Tensor | undefined): Place {
    if (!t) return 0;
    const at = this.matrix(t);
    if (at.ld === t.cols || t.rows === 1) return at.at;
    const packed = this.#newStorage(sizeOf(t.shape), t.cols);
    this.#copy(t, packed);
    return { ...packed, label: `${t} packed` };
  }

  wantedContiguous(t: Tensor): Place {
    return this.#used.has(t) ? this.contiguous(t) : 0;
  }

  call<K extends KernelName>(kernel: K, operands: Operands<K>): void {
    const given = operands as Readonly<Record<string, number | Place | undefined>>;
    const row = kernels[kernel];
    const words = Object.entries(row.operands).map(([operand, kind]) => {
      if (kind !== 'scratch') return given[operand] ?? 0;
      const numbers = Object.fromEntries(
        Object.entries(given).map(([k, v]) => [k, typeof v === 'number' ? v : 1]),
      );
      const elements = row.scratch?.(numbers) ?? 0;
      return { base: this.#newBuffer(elements), offset: 0, label: 'scratch' };
    });
    this.#push({ kernel, words });
  }

  alias(out: Tensor, source: Tensor, column = 0): void {
    const from = this.#locate(source);
    const sameRows = out.rows === source.rows && out.rows > 1;
    if (sameRows || from.ld === source.cols || source.rows === 1) {
      this.#storage.set(out, { ...from, offset: from.offset + column, ld: sameRows ? from.ld : out.cols });
      return;
    }
    const packed = this.#newStorage(sizeOf(source.shape), source.cols);
    this.#copy(source, packed);
    this.#storage.set(out, { ...packed, offset: column, ld: out.cols });
  }

  aliasRows(out: Tensor, source: Tensor, first: number, step: number): void {
    const from = this.#locate(source);
    this.#storage.set(out, { ...from, offset: from.offset + first * from.ld, ld: step * from.ld });
  }

  regionAlias(out: Tensor, region: Region, offset: number): void {
    this.#storage.set(out, { base: region, offset, ld: out.cols });
  }

  place(input: Tensor, target: Tensor, column: number): void {
    const there = slice(this.#locate(target), input, target, column);
    const here = this.#locate(input);
    const moved =
      here.base !== there.base || here.offset !== there.offset || (input.rows > 1 && here.ld !== there.ld);
    if (moved) this.#copy(input, there);
  }

  constant(out: Tensor, values: readonly number[]): void {
    const entry = this.#io.add(`constant:${this.#constants.length}`, out.shape);
    this.#constants.push({ name: entry.name, values });
    this.#storage.set(out, { base: this.#io, offset: entry.offset, ld: out.cols });
  }

  elementwise(node: Node<ElementwiseAttributes>): void {
    invariant(false, `elementwise node ${node.id} reached the planner outside a group`);
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
    this.#push({ kernel: 'map', words: [...words, ...steps.flat()] });
  }

  finish(name: string): Program {
    const work = new Region('work');
    const elements = pack(this.#buffers);
    if (elements > 0) work.add('work', [elements]);
    const instructions: Instruction[] = this.#calls.map(({ kernel, words }) => ({
      kernel,
      words: words.map((word): Word => {
        if (typeof word === 'number') return word;
        const { base, offset, label } = word;
        return base instanceof Buffer
          ? { region: work, offset: base.offset + offset, label }
          : { region: base, offset, label };
      }),
    }));
    return new Program(name, instructions, work, this.#io, this.#constants);
  }

  #push(call: Call): void {
    for (const word of call.words) {
      if (typeof word !== 'number' && word.base instanceof Buffer) word.base.touch(this.#calls.length);
    }
    this.#calls.push(call);
  }

  #newBuffer(elements: number): Buffer {
    const buffer = new Buffer(elements);
    this.#buffers.push(buffer);
    return buffer;
  }

  #newStorage(elements: number, ld: number): Storage {
    return { base: this.#newBuffer(elements), offset: 0, ld };
  }

  #copy(from: Tensor, to: Storage): void {
    const source = this.matrix(from);
    const target: Place = { base: to.base, offset: to.offset, label: `copy of ${from}` };
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
    if (leaf) storage = { base: leaf.region, offset: leaf.region.get(leaf.name).offset, ld: t.cols };
    else if (placement)
      storage = slice(this.#locate(placement.target), t, placement.target, placement.column);
    else storage = this.#newStorage(sizeOf(t.shape), t.cols);
    this.#storage.set(t, storage);
    return storage;
  }
}

const extent = (t: Tensor, { ld }: Storage): number => (t.rows - 1) * ld + t.cols;

/** The part of a target's storage that begins at a column; a tensor of the target's size fills it whole. */
function slice(target: Storage, t: Tensor, whole: Tensor, column: number): Storage {
  const fills = sizeOf(t.shape) === sizeOf(whole.shape);
  return { base: target.base, offset: target.offset + column, ld: fills ? t.cols : target.ld };
}

/**
 * Which values can be written by their kernel straight to where a concat or an assign wants them. A value is placed at
 * most once; an assign's only if no kernel could still read the old value, or read it after it was overwritten.
 */
function choosePlacements(nodes: readonly Node[]): Map<Tensor, Placement> {
  const placements = new Map<Tensor, Placement>();
  const readers = leafReaders(nodes);
  for (const node of nodes) {
    if (node.op.name === 'concat') {
      let column = 0;
      for (const input of node.inputs as readonly Tensor[]) {
        const producer = input.node;
        const strided =
          producer.op === (elementwiseOp as unknown) || producer.op.stridedOutputs?.includes(input.index);
        if (strided && !placements.has(input) && !isNumber(producer))
          placements.set(input, { target: node.outputs[0], column });
        column += input.cols;
      }
    } else if (node.op.name === 'assign') {
      const [target, value] = node.inputs as readonly Tensor[];
      const leaf = leafOf(target);
      const key = leaf && `${leaf.region.name}/${leaf.name}`;
      const old = (key && readers.get(key)) || [];
      const { node: producer, index } = value;
      const ownRead = (reader: { node: Node; input: number }): boolean =>
        reader.node === producer &&
        (isElementwise(producer) || producer.op.inPlace?.[index] === reader.input);
      const safe = old.every((r) => ownRead(r) || (r.node.id < producer.id && !isElementwise(r.node)));
      if (safe && !placements.has(value) && makesItsOutput(producer))
        placements.set(value, { target, column: 0 });
    }
  }
  return placements;
}

const isNumber = (node: Node): boolean => isElementwise(node) && node.attributes.fn === 'constant';

/** Whether a node writes memory of its own (rather than naming that of another, or a constant). */
const makesItsOutput = (node: Node): boolean =>
  ![
    'leaf',
    'reshape',
    'split',
    'lastToken',
    'stopGradient',
    'constant',
    'assign',
    'region',
    'concat',
  ].includes(node.op.name) && !isNumber(node);

/** For every leaf the nodes that read it, through views too, and by which input. */
function leafReaders(nodes: readonly Node[]): Map<string, { node: Node; input: number }[]> {
  const readers = new Map<string, { node: Node; input: number }[]>();
  const source = new Map<Tensor, string>();
  for (const node of nodes) {
    for (const t of node.outputs) {
      const leaf = leafOf(t);
      if (leaf) source.set(t, `${leaf.region.name}/${leaf.name}`);
    }
    node.inputs.forEach((t, input) => {
      const key = t && source.get(t);
      if (!key || (node.op.name === 'assign' && input === 0)) return;
      if (['reshape', 'split', 'lastToken', 'stopGradient'].includes(node.op.name)) {
        for (const out of node.outputs) source.set(out, key);
        return;
      }
      const list = readers.get(key) ?? [];
      list.push({ node, input });
      readers.set(key, list);
    });
  }
  return readers;
}
