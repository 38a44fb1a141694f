import { checkWhole } from '../checks.ts';
import type { Executable, Memory } from '../compute/engines/engine.ts';
import { add, exp, logSigmoid, subtract } from '../compute/graph/elementwise.ts';
import { isMlstm, type MlstmNode } from '../compute/graph/mlstm.ts';
import type { Node } from '../compute/graph/op.ts';
import { plan } from '../compute/graph/plan.ts';
import { isRecurrent, type RecurrentNode } from '../compute/graph/recurrent.ts';
import { leaf, leafOf, type Tensor } from '../compute/graph/tensor.ts';
import { assign, reshape } from '../compute/graph/views.ts';
import { cellNames } from '../compute/program/constants.ts';
import { Region } from '../compute/program/region.ts';
import { stateLeaves, stateRegion, storeState } from '../nn/inference_programs.ts';
import { type LanguageModel, Pass } from '../nn/layer.ts';
import type { Model } from '../nn/model.ts';
import { OneCall } from '../nn/one_call.ts';

/** Numbers of a trace: float64 of the reference engine, float32 of others. */
export type TraceValues = Float32Array | Float64Array;

/** What is fixed of an mLSTM cell. */
export interface MlstmCell {
  /** Which kind it is. */
  readonly kind: 'mlstm';
  /** That of its state: "blocks.0" */
  readonly name: string;
  /** H */
  readonly heads: number;
  /** DK, of a head. */
  readonly keyDim: number;
  /** DV, of a head. */
  readonly valueDim: number;
  /** k̂ = keyScale · k */
  readonly keyScale: number;
  /** q̂ = queryScale · q */
  readonly queryScale: number;
  /** Added to the denominator of what is read. */
  readonly eps: number;
}

/** What is fixed of an sLSTM cell. */
export interface SlstmCell {
  /** Which kind it is. */
  readonly kind: 'slstm';
  /** That of its state: "blocks.1" */
  readonly name: string;
  /** H */
  readonly heads: number;
  /** Units of a head. */
  readonly headDim: number;
  /** Whether the forget gate is exp(f) rather than σ(f). */
  readonly exponentialForget: boolean;
}

/** A cell that remembers. */
export type TracedCell = MlstmCell | SlstmCell;

/** What an mLSTM cell did with a token; the names are those of docs/mathematics.md. */
export interface MlstmReading {
  /** Which kind of cell it is of. */
  readonly kind: 'mlstm';
  /** i, before its exponential: [H]. */
  readonly inputPreactivation: TraceValues;
  /** f, before its sigmoid: [H]. */
  readonly forgetPreactivation: TraceValues;
  /** I = exp(i − m), how strongly the token is written: [H]. */
  readonly input: TraceValues;
  /** F = exp(logσ(f) + m before − m), how much of the memory stays: [H]. */
  readonly forget: TraceValues;
  /** Queries: [H, DK]. */
  readonly q: TraceValues;
  /** Keys: [H, DK]. */
  readonly k: TraceValues;
  /** Values: [H, DV]. */
  readonly v: TraceValues;
  /** What is read: [H, DV]. */
  readonly h: TraceValues;
  /** The matrix memory after the token: [H, DK, DV]. */
  readonly c: TraceValues;
  /** The normaliser after it: [H, DK]. */
  readonly n: TraceValues;
  /** The stabiliser after it: [H]. */
  readonly m: TraceValues;
}

/** What an sLSTM cell did with a token, of each of its units. */
export interface SlstmReading {
  /** Which kind of cell it is of. */
  readonly kind: 'slstm';
  /** I = exp(i − m) */
  readonly input: TraceValues;
  /** F = exp(l − m) */
  readonly forget: TraceValues;
  /** tanh(z), what is written. */
  readonly candidate: TraceValues;
  /** σ(o), how much is told. */
  readonly output: TraceValues;
  /** What the cell gives: σ(o) c / n. */
  readonly y: TraceValues;
  /** The memory after the token. */
  readonly c: TraceValues;
  /** The normaliser after it. */
  readonly n: TraceValues;
  /** The stabiliser after it. */
  readonly m: TraceValues;
}

/** What happened with one token. */
export interface TraceStep {
  /** Of the next token: [V]. */
  readonly logits: TraceValues;
  /** In the order of `cells`. */
  readonly readings: readonly (MlstmReading | SlstmReading)[];
}

/** A cell with the node of the graph that it is. */
type Found =
  | { readonly kind: 'mlstm'; readonly cell: MlstmCell; readonly node: MlstmNode }
  | { readonly kind: 'slstm'; readonly cell: SlstmCell; readonly node: RecurrentNode };

/** Planes of what a recurrent scan saves of a unit: those of the sLSTM, in the order of the kernel table. */
const SLSTM_PLANES = ['input', 'forget', 'candidate', 'output'] as const;

/**
 * A sequence that a model reads token by token, while one looks inside: gates, queries, keys and values, and the memories of
 * all mLSTM and sLSTM cells. The numbers are those with which the engine computes, of a Program whose outputs they are.
 */
export class CellTrace implements Disposable {
  /** In the order in which a token passes them; those of other layers are not told. */
  readonly cells: readonly TracedCell[];
  readonly #model: Model;
  readonly #state: Memory;
  readonly #executable: Executable;
  readonly #calls: OneCall;

  /** One that has read nothing. The model is not freed with it. */
  constructor(model: Model) {
    this.#calls = new OneCall('the trace', model.use);
    this.#model = model;
    const state = stateRegion(model.network, 1);
    const { program, cells } = tracedProgram(model.network, state, model.engine.limits);
    this.cells = cells;
    this.#state = model.engine.allocate(state);
    this.#executable = model.engine.bind(program, [...model.memories, this.#state]);
  }

  /** Bytes of the recurrent state in float32; the same for any number of tokens. */
  get stateBytes(): number {
    return this.#state.region.bytes;
  }

  /** Reads a token. Rejects with a usage error for one that the model does not know. */
  read(token: number): Promise<TraceStep> {
    return this.#calls.run('read', async () => {
      checkWhole('token', token, 0, this.#model.network.vocabSize - 1);
      const { io } = this.#executable;
      io.write('tokens', [token]);
      await this.#executable.run();
      const readings: (MlstmReading | SlstmReading)[] = [];
      for (const cell of this.cells) {
        const out = (name: string): Promise<TraceValues> => io.read(`${cell.name}.${name}`);
        const kept = (name: string): Promise<TraceValues> => this.#state.read(`${cell.name}.${name}`);
        readings.push(cell.kind === 'mlstm' ? await readMlstm(out, kept) : await readSlstm(out, kept));
      }
      return { logits: await io.read('logits'), readings };
    });
  }

  /** Forgets what was read. */
  clear(): void {
    this.#calls.runNow('clear', () => this.#state.clear());
  }

  /** Gives its memory back; no call is allowed from here on. */
  free(): void {
    this.#calls.free(() => {
      this.#executable.free();
      this.#state.free();
    });
  }

  /** `free`, for `using`. */
  [Symbol.dispose](): void {
    this.free();
  }
}

type Read = (name: string) => Promise<TraceValues>;

async function readMlstm(out: Read, kept: Read): Promise<MlstmReading> {
  return {
    kind: 'mlstm',
    inputPreactivation: await out('i'),
    forgetPreactivation: await out('f'),
    input: await out('input'),
    forget: await out('forget'),
    q: await out('q'),
    k: await out('k'),
    v: await out('v'),
    h: await out('h'),
    c: await kept('c'),
    n: await kept('n'),
    m: await kept('m'),
  };
}

async function readSlstm(out: Read, kept: Read): Promise<SlstmReading> {
  const gates = await out('gates');
  const [y, c, n, m] = [await kept('y'), await kept('c'), await kept('n'), await kept('m')];
  const plane = (p: number): TraceValues => gates.slice(p * y.length, (p + 1) * y.length);
  const [input, forget, candidate, output] = SLSTM_PLANES.map((_, p) => plane(p));
  return { kind: 'slstm', input, forget, candidate, output, y, c, n, m };
}

/** The Program of a decode step that also tells what its cells do, and the cells. */
function tracedProgram(network: LanguageModel, state: Region, limits: Model['engine']['limits']) {
  const io = new Region('io');
  const before = stateLeaves(state);
  const after = network.forward(leaf(io, 'tokens', [1, 1]), new Pass(), before);
  const logits = network.logits(after.y);
  const found = foundCells([logits, ...Object.values(after.state)], state);
  const told = found.flatMap((each) =>
    Object.entries(each.kind === 'mlstm' ? toldByMlstm(each.node) : { gates: each.node.outputs.gates }).map(
      ([name, value]) => assign(leaf(io, `${each.cell.name}.${name}`, value.shape), value),
    ),
  );
  const output = assign(leaf(io, 'logits', logits.shape), logits);
  const program = plan('trace', { io, roots: [output, ...told, ...storeState(before, after.state)], limits });
  return { program, cells: found.map(({ cell }) => cell) };
}

function toldByMlstm({ inputs, outputs }: MlstmNode): Record<string, Tensor> {
  const { q, k, v, i, f, m } = inputs;
  const { h, lastM } = outputs;
  const heads = lastM.shape;
  return {
    ...{ q, k, v, i, f, h },
    input: exp(subtract(reshape(i, heads), lastM)),
    forget: exp(subtract(add(logSigmoid(reshape(f, heads)), m), lastM)),
  };
}

/** The cells of a graph whose memories lie in the state, in the order in which they were made. */
function foundCells(roots: readonly Tensor[], state: Region): Found[] {
  return nodesOf(roots).flatMap((node): Found[] => {
    if (isMlstm(node)) {
      const name = cellName(node.inputs.c, 'c', state);
      if (name === undefined) return [];
      const { heads, keyDim, valueDim, keyScale, queryScale, eps } = node.attributes;
      const cell = { kind: 'mlstm', name, heads, keyDim, valueDim, keyScale, queryScale, eps } as const;
      return [{ kind: 'mlstm', cell, node }];
    }
    if (isRecurrent(node) && cellNames[node.attributes.cell] === 'slstm') {
      const name = cellName(node.inputs.c0, 'c', state);
      if (name === undefined) return [];
      const { heads, headDim } = node.attributes;
      const exponentialForget = node.attributes.exponentialForget === 1;
      return [{ kind: 'slstm', cell: { kind: 'slstm', name, heads, headDim, exponentialForget }, node }];
    }
    return [];
  });
}

/** What is before the memory's own name in the state. */
function cellName(memory: Tensor | undefined, own: string, state: Region): string | undefined {
  const found = memory && leafOf(memory);
  return found?.region === state && found.name.endsWith(`.${own}`)
    ? found.name.slice(0, -own.length - 1)
    : undefined;
}

function nodesOf(roots: readonly Tensor[]): Node[] {
  const seen = new Set<Node>();
  const open = roots.map(({ node }) => node);
  for (let node = open.pop(); node; node = open.pop()) {
    if (seen.has(node)) continue;
    seen.add(node);
    for (const input of Object.values(node.inputs)) open.push(input.node);
  }
  return [...seen].sort((a, b) => a.id - b.id);
}
