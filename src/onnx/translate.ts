import type { Arrays, Node, Tensor } from '../compute/graph/op.ts';
import { leafOf } from '../compute/graph/tensor.ts';
import { type Region, type Shape, shapeText } from '../compute/program/region.ts';
import { XlstmError } from '../errors.ts';
import { elementwiseEmitters } from './elementwise.ts';
import type { Emitter, Emitting } from './emitter.ts';
import type { OnnxGraph } from './graph.ts';
import { layerEmitters } from './layers.ts';
import { recurrentEmitters } from './recurrent.ts';
import { scanEmitters } from './scans.ts';

/** By the names of operations. */
const emitters: Readonly<Record<string, Emitter>> = {
  ...elementwiseEmitters,
  ...layerEmitters,
  ...recurrentEmitters,
  ...scanEmitters,
};

const tensorsOf = (arrays: Arrays): readonly Tensor[] => Object.values(arrays) as Tensor[];

/** Nodes that the tensors depend on, in an order of execution; what is in `known` and what only it needs is left out. */
export function nodesBehind(tensors: readonly Tensor[], known: ReadonlyMap<Tensor, string>): Node[] {
  const found = new Set<Node>();
  const open = [...tensors];
  for (let t = open.pop(); t; t = open.pop()) {
    if (known.has(t) || found.has(t.node)) continue;
    found.add(t.node);
    open.push(...tensorsOf(t.node.inputs));
  }
  return [...found].sort((a, b) => a.id - b.id);
}

/**
 * Adds to an ONNX graph what tensors of a graph compute. `names` holds those that are there already, among them every
 * leaf, and takes in the others. Throws a usage error that names the operation and the layer.
 */
export function translate(tensors: readonly Tensor[], graph: OnnxGraph, names: Map<Tensor, string>): void {
  for (const node of nodesBehind(tensors, names)) {
    const made = emit(node, graph, names);
    for (const [output, name] of Object.entries(made)) {
      const t = (node.outputs as Readonly<Record<string, Tensor>>)[output];
      names.set(t, name);
    }
  }
}

function emit(
  node: Node,
  graph: OnnxGraph,
  names: Map<Tensor, string>,
): Readonly<Record<string, string>> | readonly string[] {
  const { op } = node;
  const refuse = (reason: string): never => {
    throw new XlstmError(
      'usage',
      `exportOnnx: the operation ${op.name}${layerOf(node)} has no translation to ONNX: ${reason}`,
      `Translated are ${Object.keys(emitters).sort().join(', ')}.`,
    );
  };
  const of = (t: Tensor): string => {
    const name = names.get(t);
    return name ?? refuse(`it reads ${t.output} of ${t.node.op.name}, which is not translated`);
  };
  const shaped = (t: Tensor, shape: Shape): string =>
    shapeText(t.shape) === shapeText(shape) ? of(t) : graph.reshape(of(t), shape);
  const emitter = emitters[op.name];
  if (emitter) {
    const to: Emitting = { graph, of, shaped, refuse };
    return emitter(node, to);
  }
  if (!op.parts) return refuse('it is not known');
  const parts = op.parts.build(node.inputs);
  translate(tensorsOf(parts), graph, names);
  return Object.fromEntries(Object.entries(parts).map(([output, t]) => [output, of(t as Tensor)]));
}

/** Where the nearest parameter is. */
function layerOf(node: Node): string {
  const seen = new Set<Node>([node]);
  for (const next of seen) {
    for (const t of tensorsOf(next.inputs)) {
      const leaf = leafOf(t);
      if (leaf && isParameter(leaf.region)) return ` in the layer that has ${JSON.stringify(leaf.name)}`;
      seen.add(t.node);
    }
  }
  return '';
}

const isParameter = (region: Region): boolean => region.name.startsWith('parameters');
