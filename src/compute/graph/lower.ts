import { invariant } from '../../errors.ts';
import type { EngineLimits } from '../program/limits.ts';
import { differentiate, reachable } from './differentiate.ts';
import type { Arrays, Gradients, Named, Node, Op } from './op.ts';
import { inBackwardPass, makeNode, type Tensor } from './tensor.ts';
import { stopGradient } from './views.ts';

/** What took the place of a node: the inputs as the parts know them, and what the parts make of them. */
interface Parts {
  readonly inputs: Named;
  readonly outputs: Arrays;
}

/**
 * The graph of the roots with the operations replaced by their parts that an engine's kernels do not take, and their
 * backward passes by those of the parts. Where nothing is to be replaced, the roots themselves.
 */
export function lower(roots: readonly Tensor[], limits: EngineLimits): readonly Tensor[] {
  const nodes = reachable(roots);
  const replaced = new Set(nodes.filter((node) => node.op.parts?.replace(node, limits)));
  if (replaced.size === 0) return roots;

  // All nodes are made anew, one after the other: the order of creation is an order of execution.
  const known = new Map<Tensor, Tensor | undefined>();
  const copies = new Map<Node, Node>();
  const partsOf = new Map<Node, Parts>();
  const now = (t: Tensor): Tensor => {
    const found = known.get(t);
    invariant(found !== undefined, `${t} was left out where ${t.node.op.name} was replaced by its parts`);
    return found;
  };
  const remake = (node: Node): Gradients | Arrays => {
    const { op, forward } = node;
    const inputs = mapped(node.inputs, now);
    if (op.parts && replaced.has(node)) {
      // Of their own, so that differentiating the parts ends at them.
      const own = mapped(inputs, stopGradient) as Named;
      const outputs = op.parts.build(own);
      partsOf.set(node, { inputs: own, outputs });
      return outputs;
    }
    const parts = forward && partsOf.get(forward);
    if (parts) return gradientsOf(forward.op, parts, inputs as Named);
    const shapes = mapped(node.outputs, ({ shape }) => shape);
    const copy = makeNode(op, inputs, shapes, node.attributes, forward && copies.get(forward));
    copies.set(node, copy);
    return copy.outputs;
  };
  for (const node of nodes) {
    const made = (node.backward ? inBackwardPass(() => remake(node)) : remake(node)) as Gradients;
    for (const [name, t] of Object.entries(node.outputs)) known.set(t, made[name]);
  }
  return roots.map(now);
}

/** By name, or as a list, as they were. */
function mapped<T>(arrays: Arrays, make: (t: Tensor) => T): Readonly<Record<string, T>> | readonly T[] {
  if (Array.isArray(arrays)) return arrays.map((t: Tensor) => make(t));
  return Object.fromEntries(Object.entries<Tensor>(arrays).map(([name, t]) => [name, make(t)]));
}

/** Gradients of the parts' inputs, as the backward pass would make them: what others contributed is a further seed. */
function gradientsOf({ absorbs }: Op, { inputs, outputs }: Parts, given: Named): Gradients {
  const absorbed = given.residual ? absorbs : [];
  const found = differentiate(
    [...Object.values(outputs), ...absorbed.map((name) => inputs[name])],
    Object.values(inputs),
    [...Object.keys(outputs).map((name) => given[`d${name}`]), ...absorbed.map(() => given.residual)],
  );
  return Object.fromEntries(Object.keys(inputs).map((name, i) => [`d${name}`, found[i]]));
}
