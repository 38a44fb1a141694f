import { XlstmError } from '../errors.ts';
import { add } from './elementwise.ts';
import type { Node, Tensor } from './tensor.ts';
import { constant } from './views.ts';

/** The nodes that the roots depend on, in order of creation. */
export function reachable(roots: readonly Tensor[]): Node[] {
  const seen = new Set<Node>();
  const stack = roots.map((t) => t.node);
  while (stack.length > 0) {
    const node = stack.pop() as Node;
    if (seen.has(node)) continue;
    seen.add(node);
    for (const input of node.inputs) if (input) stack.push(input.node);
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
  seeds: readonly Tensor[] = outputs.map((t) => constant([1], t.shape)),
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
    if (node.inputs.some((input) => input && wanted.has(input.node))) wanted.add(node);
  }
  for (const node of nodes.reverse()) {
    if (!wanted.has(node) || node.inputs.length === 0) continue;
    const upstream = node.outputs.map((t) => gradients.get(t));
    if (upstream.every((g) => g === undefined)) continue;
    if (!node.op.backward) {
      throw new XlstmError(
        'internal',
        `${node.op.name} has no gradient`,
        'Wrap its input in stopGradient if none is meant to flow.',
      );
    }
    const absorbs = (i: number): boolean => node.op.absorbs?.includes(i) === true;
    const sofar = node.inputs.map((input, i) => (input && absorbs(i) ? gradients.get(input) : undefined));
    node.op.backward(node, upstream, sofar).forEach((g, i) => {
      const input = node.inputs[i];
      if (!g || !input || !wanted.has(input.node)) return;
      if (absorbs(i)) gradients.set(input, g);
      else contribute(input, g);
    });
  }
  return wrt.map((t) => gradients.get(t));
}
