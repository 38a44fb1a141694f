import { invariant, XlstmError } from '../../errors.ts';
import type { Dtype } from '../program/dtypes.ts';
import { type Region, type Shape, shapeText } from '../program/region.ts';
import {
  type Arrays,
  attributes,
  defineOp,
  type Each,
  type Given,
  type Names,
  type Node,
  type Op,
  Tensor,
  type TypedOp,
} from './op.ts';

export { Tensor } from './op.ts';

let nextId = 0;

let differentiating = false;

/** Nodes that `make` creates belong to the backward pass. */
export function inBackwardPass<T>(make: () => T): T {
  const outer = differentiating;
  differentiating = true;
  try {
    return make();
  } finally {
    differentiating = outer;
  }
}

type Forward = Pick<Node, 'id' | 'op'>;

/**
 * Makes a node and returns its outputs, which have the given shapes. It reads what the operation names of `given`: more
 * may be there. `forward` is the node whose backward pass this is.
 */
export function createNode<I extends Names, O extends Names, A>(
  op: TypedOp<I, O, A>,
  given: Given<I>,
  shapes: Each<O, Shape>,
  ...[attributes, forward]: A extends undefined
    ? [attributes?: undefined, forward?: Forward]
    : [attributes: NoInfer<A>, forward?: Forward]
): Each<O, Tensor> {
  const { outputs } = makeNode(op, given as Arrays, shapes, attributes, forward as Node | undefined);
  return outputs as unknown as Each<O, Tensor>;
}

/** As `createNode`, of an operation whose types are not known. */
export function makeNode(
  op: Op,
  given: Arrays,
  shapes: Readonly<Record<string, Shape>> | readonly Shape[],
  attributes: unknown,
  forward: Node | undefined,
): Node {
  invariant(
    op.backwardOf === forward?.op.name,
    `${op.name} is the backward pass of ${op.backwardOf ?? 'nothing'}, given ${forward?.op.name ?? 'nothing'}`,
  );
  const outputs: Record<string, Tensor> | Tensor[] = op.outputs === 'list' ? [] : {};
  const inputs = presentInputs(op, given);
  const node: Node = { id: nextId++, op, inputs, outputs, attributes, backward: differentiating, forward };
  const names = op.outputs === 'list' ? Object.keys(shapes) : op.outputs.map(({ name }) => name);
  for (const name of names) {
    const shape = (shapes as Readonly<Record<string, Shape>>)[name];
    requireSizes(op.name, shape);
    (outputs as Record<string, Tensor>)[name] = new Tensor(shape, node, name);
  }
  return node;
}

function presentInputs(op: Op, given: Arrays): Arrays {
  const check = (name: string, t: Tensor): void => requireTensor(op.name, name, t);
  if (op.inputs === 'list') {
    for (const [name, t] of Object.entries(given)) check(name, t);
    return given;
  }
  const present: Record<string, Tensor> = {};
  for (const { name, optional } of op.inputs) {
    const t = (given as Readonly<Record<string, Tensor>>)[name];
    if (t === undefined && optional) continue;
    check(name, t);
    present[name] = t;
  }
  return present;
}

/** Throws unless a shape is whole numbers of at least 1. */
export function requireSizes(op: string, shape: Shape): void {
  for (const n of shape) {
    if (Number.isSafeInteger(n) && n >= 1) continue;
    throw new XlstmError(
      'shape',
      `${op}: every dimension must be a whole number of at least 1, found ${shapeText(shape)}`,
    );
  }
}

/** Throws unless an operand is a tensor of this copy of the library. */
export function requireTensor(op: string, input: string, operand: unknown): void {
  if (!(operand instanceof Tensor)) throw foreign(op, input, operand);
}

/** Leaves are known by their operation, which each copy of the package has of its own: of another one they are none. */
const foreign = (op: string, input: string, found: unknown): XlstmError =>
  new XlstmError(
    'usage',
    `${op}: input ${input} is no tensor of this copy of the library: found ${JSON.stringify(String(found))}`,
    'Networks, models and what trains or runs them must come from one installed copy of the package (npm ls xlstm).',
  );

/** Throws unless the condition holds; the text says what the operation expects and what it was given. */
export function requireShape(
  condition: boolean,
  op: string,
  expected: string,
  ...found: (Tensor | undefined)[]
): asserts condition {
  if (condition) return;
  const shapes = found.map((t) => (t ? shapeText(t.shape) : 'absent')).join(', ');
  throw new XlstmError('shape', `${op}: expected ${expected}, found ${shapes}`);
}

interface LeafAttributes {
  readonly region: Region;
  readonly name: string;
}

const leafOp = defineOp({
  name: 'leaf',
  kind: 'leaf',
  inputs: [],
  outputs: ['y'],
  ...attributes<LeafAttributes>(),
  emit() {},
});

/** An array that lies in a region: a parameter, an input, a recurrent state. Declares it if the region lacks it. */
export const leaf = (region: Region, name: string, shape: Shape): Tensor =>
  leafOfDtype(region, name, shape, 'f32');

/** The same for words that only `packedLinear` reads. */
export const packedLeaf = (region: Region, name: string, shape: Shape): Tensor =>
  leafOfDtype(region, name, shape, 'i32');

function leafOfDtype(region: Region, name: string, shape: Shape, dtype: Dtype): Tensor {
  const entry = region.has(name) ? region.get(name) : region.add(name, shape, dtype);
  if (entry.dtype !== dtype) {
    throw new XlstmError(
      'usage',
      `${region.name}: "${name}" holds ${entry.dtype}, operations take ${dtype}`,
      `declare it as ${dtype}`,
    );
  }
  if (shapeText(entry.shape) !== shapeText(shape)) {
    throw new XlstmError(
      'shape',
      `${region.name}: "${name}" has shape ${shapeText(entry.shape)}, asked for as ${shapeText(shape)}`,
    );
  }
  return createNode(leafOp, {}, { y: shape }, { region, name }).y;
}

export const leafOf = (t: Tensor): LeafAttributes | undefined =>
  t.node.op === leafOp ? (t.node.attributes as LeafAttributes) : undefined;
