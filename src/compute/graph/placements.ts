import { isElementwise, isNumber } from './elementwise.ts';
import type { Named, Node } from './op.ts';
import { leafOf, type Tensor } from './tensor.ts';

/** Where a value is to be written: in the columns of `target` from `column` on. */
export interface Placement {
  readonly target: Tensor;
  readonly column: number;
}

/**
 * Which values can be written by their kernel straight to where a concat or an assign wants them. A value is placed at
 * most once; an assign's only if no kernel could still read the old value, or read it after it was overwritten.
 */
export function choosePlacements(nodes: readonly Node[]): Map<Tensor, Placement> {
  const placements = new Map<Tensor, Placement>();
  const readers = leafReaders(nodes);
  for (const node of nodes) {
    if (node.op.kind === 'join') {
      const [target] = Object.values(node.outputs);
      let column = 0;
      for (const input of Object.values(node.inputs)) {
        const { node: producer, output } = input;
        const strided = producer.op.kind === 'elementwise' || producer.op.strided.includes(output);
        if (strided && !placements.has(input) && !isNumber(producer))
          placements.set(input, { target, column });
        column += input.cols;
      }
    } else if (node.op.kind === 'assign') {
      const { target, value } = node.inputs as Named;
      const leaf = leafOf(target);
      const key = leaf && `${leaf.region.name}/${leaf.name}`;
      const old = (key && readers.get(key)) || [];
      const { node: producer, output } = value;
      const ownRead = (reader: { node: Node; input: string }): boolean =>
        reader.node === producer && (isElementwise(producer) || producer.op.inPlace[output] === reader.input);
      const safe = old.every((r) => ownRead(r) || (r.node.id < producer.id && !isElementwise(r.node)));
      if (safe && !placements.has(value) && makesItsOutput(producer) && !isNumber(producer))
        placements.set(value, { target, column: 0 });
    }
  }
  return placements;
}

/** Whether a node writes memory of its own (rather than naming that of another, or a constant). */
const makesItsOutput = ({ op: { kind } }: Node): boolean => kind === 'compute' || kind === 'elementwise';

/** For every leaf the nodes that read it, through views too, and by which input. */
function leafReaders(nodes: readonly Node[]): Map<string, { node: Node; input: string }[]> {
  const readers = new Map<string, { node: Node; input: string }[]>();
  const source = new Map<Tensor, string>();
  for (const node of nodes) {
    for (const t of Object.values(node.outputs)) {
      const leaf = leafOf(t);
      if (leaf) source.set(t, `${leaf.region.name}/${leaf.name}`);
    }
    for (const [input, t] of Object.entries(node.inputs)) {
      const key = source.get(t);
      if (!key || (node.op.kind === 'assign' && input === 'target')) continue;
      if (node.op.kind === 'view') {
        for (const out of Object.values(node.outputs)) source.set(out, key);
        continue;
      }
      const list = readers.get(key) ?? [];
      list.push({ node, input });
      readers.set(key, list);
    }
  }
  return readers;
}
