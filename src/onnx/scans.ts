import type { KernelNumbers } from '../compute/graph/op.ts';
import { type Emitter, emitter, requireOneStep, stateOr0 } from './emitter.ts';

type MlstmAttributes = KernelNumbers<'mlstmStep'> & { readonly length: number };

/** Layers whose state is a matrix or a diagonal: the one step that each step form makes. */
export const scanEmitters: Readonly<Record<string, Emitter>> = {
  // m' = max(log σ(f) + m, i); C' = f̂ C + î k vᵀ; n' = f̂ n + î k; h = C'ᵀ q / (max(|n'·q|, e^−m') + eps)
  mlstm: emitter<MlstmAttributes>((node, to) => {
    const { q, k, v, i, f, c, n, m } = node.inputs;
    const { batch, length, heads, keyDim, valueDim, keyScale, queryScale, eps } = node.attributes;
    requireOneStep(node, length, to);
    const { graph } = to;
    const key = graph.multiply(to.shaped(k, [batch, heads, keyDim, 1]), graph.number(keyScale));
    const query = graph.multiply(to.shaped(q, [batch, heads, 1, keyDim]), graph.number(queryScale));
    const value = to.shaped(v, [batch, heads, 1, valueDim]);
    const [inputGate, forgetGate] = [i, f].map((gate) => to.shaped(gate, [batch, heads]));
    const kept = graph.add(graph.logSigmoid(forgetGate), stateOr0(m, [batch, heads], to));
    const lastM = graph.node('Max', [kept, inputGate]);
    const gate = (x: string): string =>
      graph.reshape(graph.exp(graph.subtract(x, lastM)), [batch, heads, 1, 1]);
    const forget = gate(kept);
    const written = graph.multiply(gate(inputGate), key);
    const lastC = graph.add(
      graph.multiply(forget, stateOr0(c, [batch, heads, keyDim, valueDim], to)),
      graph.matmul(written, value),
    );
    const before = graph.reshape(stateOr0(n, [batch, heads, keyDim], to), [batch, heads, keyDim, 1]);
    const normalizer = graph.add(graph.multiply(forget, before), written);
    const least = graph.reshape(graph.exp(graph.node('Neg', [lastM])), [batch, heads, 1, 1]);
    const found = graph.node('Abs', [graph.matmul(query, normalizer)]);
    const denominator = graph.add(graph.node('Max', [found, least]), graph.number(eps));
    const h = graph.divide(graph.matmul(query, lastC), denominator);
    return {
      h: graph.reshape(h, v.shape),
      lastC,
      lastN: graph.reshape(normalizer, [batch, heads, keyDim]),
      lastM,
    };
  }),

  // y' = a ∘ y + b
  linearScan: emitter<KernelNumbers<'linearScanForward'>>((node, to) => {
    const { a, b, state } = node.inputs;
    const { batch, length, dim } = node.attributes;
    requireOneStep(node, length, to);
    const { graph } = to;
    const row = [batch, dim];
    const kept = graph.multiply(to.shaped(a, row), stateOr0(state, row, to));
    const lastState = graph.add(kept, to.shaped(b, row));
    return { y: graph.reshape(lastState, [batch, 1, dim]), lastState };
  }),

  // h' = exp(δ a) h + b (δ x)ᵀ; y = Σ_s c h'
  selectiveScan: emitter<Readonly<Record<'batch' | 'length' | 'dim' | 'states', number>>>((node, to) => {
    const { x, delta, a, b, c, state } = node.inputs;
    const { batch, length, dim, states } = node.attributes;
    requireOneStep(node, length, to);
    const { graph } = to;
    const step = to.of(delta); // [B, 1, D]
    const kept = graph.multiply(
      graph.exp(graph.multiply(step, to.of(a))),
      stateOr0(state, [batch, states, dim], to),
    );
    const [input, output] = [b, c].map((t) => to.shaped(t, [batch, states, 1]));
    const lastState = graph.add(kept, graph.multiply(input, graph.multiply(step, to.of(x))));
    return { y: graph.sum(graph.multiply(output, lastState), 1), lastState };
  }),

  // S' = α S + β k (v − α Sᵀ k)ᵀ; h = S'ᵀ q
  deltaScan: emitter<Omit<KernelNumbers<'deltaScanForward'>, 'chunk'>>((node, to) => {
    const { q, k, v, alpha, beta, state } = node.inputs;
    const { batch, length, heads, keyDim, valueDim } = node.attributes;
    requireOneStep(node, length, to);
    const { graph } = to;
    const [keep, rate] = [alpha, beta].map((t) => to.shaped(t, [batch, heads, 1, 1]));
    const kept = graph.multiply(keep, stateOr0(state, [batch, heads, keyDim, valueDim], to));
    const recalled = graph.matmul(to.shaped(k, [batch, heads, 1, keyDim]), kept);
    const error = graph.subtract(to.shaped(v, [batch, heads, 1, valueDim]), recalled);
    const key = graph.multiply(rate, to.shaped(k, [batch, heads, keyDim, 1]));
    const lastState = graph.add(kept, graph.matmul(key, error));
    const h = graph.matmul(to.shaped(q, [batch, heads, 1, keyDim]), lastState);
    return { h: graph.reshape(h, v.shape), lastState };
  }),

  // Row (count − 1) mod window of the ring takes k and v; of the others those that hold something are seen.
  attention: emitter<KernelNumbers<'attentionForward'>>((node, to) => {
    const { q, k, v, counts, keys, values } = node.inputs;
    const { batch, length, heads, headDim, window, scale } = node.attributes;
    requireOneStep(node, length, to);
    const { graph } = to;
    const rows = graph.floats(
      Array.from({ length: window }, (_, row) => row),
      [window, 1],
    );
    const before = graph.subtract(to.shaped(counts, [batch, 1, 1, 1]), graph.number(1));
    const row = graph.node('Mod', [before, graph.number(window)], { fmod: 1 });
    const isNew = graph.node('Equal', [rows, row]); // [B, 1, window, 1]
    const [lastKeys, lastValues] = [
      [k, keys],
      [v, values],
    ].map(([step, ring]) =>
      graph.node('Where', [
        isNew,
        to.shaped(step, [batch, heads, 1, headDim]),
        stateOr0(ring, [batch, heads, window, headDim], to),
      ]),
    );
    const query = graph.multiply(to.shaped(q, [batch, heads, headDim, 1]), graph.number(scale));
    const isSeen = graph.node('LessOrEqual', [rows, before]);
    const scores = graph.node('Where', [isSeen, graph.matmul(lastKeys, query), graph.number(-1e30)]);
    const shares = graph.node('Softmax', [scores], { axis: 2 });
    const h = graph.sum(graph.multiply(shares, lastValues), 2);
    return { h: graph.reshape(h, v.shape), lastKeys, lastValues };
  }),

  // Each pair of columns j, j + DH/2 of a head turned by position · 10000^(−2j/DH).
  rotate: emitter<KernelNumbers<'rotate'>>(({ inputs: { x, positions }, outputs: { y }, attributes }, to) => {
    const { rows, heads, headDim, direction } = attributes;
    const { graph } = to;
    const half = headDim / 2;
    const speeds = Array.from({ length: half }, (_, j) => direction * 10_000 ** (-j / half));
    const angles = graph.multiply(to.shaped(positions, [rows, 1, 1]), graph.floats(speeds, [half]));
    const [cos, sin] = [graph.node('Cos', [angles]), graph.node('Sin', [angles])];
    const [first, second] = graph.split(to.shaped(x, [rows, heads, headDim]), [half, half], 2);
    const turned = [
      graph.subtract(graph.multiply(first, cos), graph.multiply(second, sin)),
      graph.add(graph.multiply(first, sin), graph.multiply(second, cos)),
    ];
    return { y: graph.reshape(graph.concat(turned, 2), y.shape) };
  }),
};
