import type { KernelNumbers } from '../compute/graph/op.ts';
import { type CellName, cellNames } from '../compute/program/constants.ts';
import { type Emitter, emitter, requireOneStep, stateOr0 } from './emitter.ts';
import type { OnnxGraph } from './graph.ts';

/** The state after a step by name, each [B, D]. */
type After = Readonly<Record<string, string>> & { readonly y: string };

/** wx and rec: what each gate takes from the input and from y before, [B, D]. */
type Cell = (
  graph: OnnxGraph,
  wx: readonly string[],
  rec: readonly string[],
  before: Readonly<Record<'y' | 'c' | 'n' | 'm', () => string>>,
  exponentialForget: boolean,
) => After;

const cells: Readonly<Record<CellName, Cell>> = {
  slstm(graph, wx, rec, before, exponentialForget) {
    const [i, f, z, o] = wx.map((x, g) => graph.add(x, rec[g]));
    const n = before.n();
    const kept = graph.add(before.m(), exponentialForget ? f : graph.logSigmoid(f));
    const empty = graph.node('Equal', [n, graph.number(0)]);
    const m = graph.node('Where', [empty, i, graph.node('Max', [i, kept])]);
    const gate = (x: string): string => graph.node('Min', [graph.exp(graph.subtract(x, m)), graph.number(1)]);
    const [input, forget] = [gate(i), gate(kept)];
    const c = graph.add(graph.multiply(forget, before.c()), graph.multiply(input, graph.tanh(z)));
    const after = graph.add(graph.multiply(forget, n), input);
    return { y: graph.divide(graph.multiply(graph.sigmoid(o), c), after), c, n: after, m };
  },

  lstm(graph, wx, rec, before) {
    const [i, f, z, o] = wx.map((x, g) => graph.add(x, rec[g]));
    const c = graph.add(
      graph.multiply(graph.sigmoid(f), before.c()),
      graph.multiply(graph.sigmoid(i), graph.tanh(z)),
    );
    return { y: graph.multiply(graph.sigmoid(o), graph.tanh(c)), c };
  },

  // y = (1 − z) ñ + z y = ñ + z (y − ñ)
  gru(graph, wx, rec, before) {
    const r = graph.sigmoid(graph.add(wx[0], rec[0]));
    const z = graph.sigmoid(graph.add(wx[1], rec[1]));
    const candidate = graph.tanh(graph.add(wx[2], graph.multiply(r, rec[2])));
    return { y: graph.add(candidate, graph.multiply(z, graph.subtract(before.y(), candidate))) };
  },

  rnn: (graph, wx, rec) => ({ y: graph.tanh(graph.add(wx[0], rec[0])) }),
};

type RecurrentAttributes = KernelNumbers<'recurrentForward'>;

export const recurrentEmitters: Readonly<Record<string, Emitter>> = {
  recurrent: emitter<RecurrentAttributes>((node, to) => {
    const { wx, r, bias, y0, c0, n0, m0 } = node.inputs;
    const { cell, exponentialForget, batch, length, heads, headDim, gatesPerUnit } = node.attributes;
    requireOneStep(node, length, to);
    const { graph } = to;
    const dim = heads * headDim;
    const y = stateOr0(y0, [batch, dim], to);
    // R y by heads: [B, H, 1, DH] · [H, DH, G·DH], then gates before heads.
    const weights = graph.node('Transpose', [to.of(r)], { perm: [0, 2, 1] });
    const product = graph.matmul(graph.reshape(y, [batch, heads, 1, headDim]), weights);
    const byHeads = graph.reshape(product, [batch, heads, gatesPerUnit, headDim]);
    const byGates = graph.node('Transpose', [byHeads], { perm: [0, 2, 1, 3] });
    let rec = graph.reshape(byGates, [batch, gatesPerUnit * dim]);
    if (bias) rec = graph.add(rec, to.shaped(bias, [gatesPerUnit * dim]));
    const gates = (x: string): string[] => graph.split(x, new Array<number>(gatesPerUnit).fill(dim), 1);
    const after = cells[cellNames[cell]](
      graph,
      gates(to.shaped(wx, [batch, gatesPerUnit * dim])),
      gates(rec),
      {
        y: () => y,
        c: () => stateOr0(c0, [batch, dim], to),
        n: () => stateOr0(n0, [batch, dim], to),
        m: () => stateOr0(m0, [batch, dim], to),
      },
      exponentialForget === 1,
    );
    return {
      y: graph.reshape(after.y, [batch, 1, dim]),
      lastY: after.y,
      ...(after.c && { lastC: after.c }),
      ...(after.n && { lastN: after.n, lastM: after.m }),
    };
  }),
};
