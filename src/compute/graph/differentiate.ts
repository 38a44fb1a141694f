import { invariant, XlstmError } from '../../errors.ts';
import { sizeOf } from '../program/region.ts';
import { add, multiply } from './elementwise.ts';
import type { Gradients, Named, Node } from './op.ts';
import { inBackwardPass, requireShape, type Tensor } from './tensor.ts';
import { constant } from './views.ts';

/** The nodes that the roots depend on, in order of creation. */
export function reachable(roots: readonly Tensor[]): Node[] {
  const seen = new Set<Node>();
  const stack = roots.map((t) => t.node);
  while (stack.length > 0) {
    const node = stack.pop() as Node;
    if (seen.has(node)) continue;
    seen.add(node);
    for (const input of Object.values(node.inputs)) stack.push(input.node);
    if (node.forward) stack.push(node.forward);
  }
  return [...seen].sort((a, b) => a.id - b.id);
}

/**
 * Reverse-mode differentiation, graph to graph: the gradients of Σ_i ⟨seeds_i, outputs_i⟩ with respect to `wrt`.
 * Without seeds the one output must hold one number. An entry is undefined where nothing depends on the tensor.
 */
export function differentiate(
  outputs: readonly Tensor[],
  wrt: readonly Tensor[],
  seeds?: readonly Tensor[],
): (Tensor | undefined)[] {
  const given = seeds ?? outputs;
  const fit =
    given.length === outputs.length &&
    given.every((seed, i) => sizeOf(seed.shape) === sizeOf(outputs[i].shape));
  requireShape(fit, 'differentiate', 'a seed of the shape of each output', ...given);
  return inBackwardPass(() => gradientsOf(outputs, wrt, seeds ?? outputs.map((t) => constant([1], t.shape))));
}

function gradientsOf(
  outputs: readonly Tensor[],
  wrt: readonly Tensor[],
  seeds: readonly Tensor[],
): (Tensor | undefined)[] {
  const gradients = new Map<Tensor, Tensor>();
  const contribute = (t: Tensor, g: Tensor): void => {
    const sofar = gradients.get(t);
    gradients.set(t, sofar ? add(sofar, g) : g);
  };
  outputs.forEach((t, i) => {
    contribute(t, seeds[i]);
  });

  const nodes = reachable(outputs);
  // Only what lies between wrt and the outputs needs a gradient.
  const wanted = new Set<Node>(wrt.map((t) => t.node));
  for (const node of nodes) {
    if (Object.values(node.inputs).some((input) => wanted.has(input.node))) wanted.add(node);
  }
  for (const node of nodes.reverse()) {
    const { op } = node;
    const inputs = Object.entries(node.inputs);
    if (!wanted.has(node) || inputs.every(([name]) => op.constants.includes(name))) continue;
    const upstream = outputGradients(node, gradients);
    if (!upstream) continue;
    if (!op.gradient) {
      throw new XlstmError(
        'usage',
        `${op.name} has no gradient`,
        'Wrap its input in stopGradient if none is meant to flow.',
      );
    }
    const absorbed = inputs.filter(([name]) => op.absorbs.includes(name));
    const sofar = Object.fromEntries(absorbed.map(([name, input]) => [name, gradients.get(input)]));
    const made = op.gradient(node, upstream, sofar);
    for (const [name, input] of inputs) {
      const g = made[op.inputs === 'list' ? name : `d${name}`];
      if (!g || !wanted.has(input.node)) continue;
      if (op.absorbs.includes(name)) gradients.set(input, g);
      else contribute(input, g);
    }
  }
  return wrt.map((t) => gradients.get(t));
}

/** As an operation's `gradient` takes them; undefined: nothing depends on any output. */
function outputGradients({ op, outputs }: Node, known: ReadonlyMap<Tensor, Tensor>): Gradients | undefined {
  const all = Object.values(outputs);
  if (!all.some((t) => known.has(t))) return;
  if (op.outputs === 'list') return all.map((t) => known.get(t)) as unknown as Gradients;
  const d: Record<string, Tensor | undefined> = {};
  for (const { name, optional } of op.outputs) {
    const t = (outputs as Named)[name];
    const g = known.get(t);
    if (op.constants.includes(name)) invariant(!g, `${op.name}: no gradient flows through ${name}`);
    else d[`d${name}`] = g ?? (optional ? undefined : multiply(t, 0));
  }
  return d;
}
