import { describe, expect, it } from 'vitest';
import { createReferenceEngine } from '../engines/reference/engine.ts';
import { evaluation } from '../evaluation.ts';
import { cpuLimits } from '../program/limits.ts';
import type { Program } from '../program/program.ts';
import { Region, type Shape } from '../program/region.ts';
import { differentiate } from './differentiate.ts';
import { add, multiply, sum } from './elementwise.ts';
import { attributes, defineOp, type Node, oneCall } from './op.ts';
import { plan } from './plan.ts';
import { createNode, leaf, type Tensor } from './tensor.ts';
import { assign, concat, reshape } from './views.ts';

const io = new Region('io');
const tensor = (name: string, shape: Shape = [2, 3]): Tensor => leaf(io, name, shape);
const [x, other] = [tensor('x'), tensor('other')];

/** Written as docs/architecture.md says. */
const scan = defineOp({
  name: 'scan',
  ...oneCall('linearScanForward'),
  constants: ['reset'],
  inPlace: { lastState: 'state' },
  gradient: ({ inputs, outputs: { y, lastState }, attributes }, d) =>
    createNode(
      scanBackward,
      { ...inputs, y, ...d },
      { da: inputs.a.shape, db: inputs.b.shape, dstate: lastState.shape },
      attributes,
    ),
});
const scanBackward = defineOp({ name: 'scanBackward', ...oneCall('linearScanBackward') });

function scanOf(a: Tensor, b: Tensor, state?: Tensor): { y: Tensor; lastState: Tensor } {
  const [batch, length, dim] = a.shape;
  const shapes = { y: a.shape, lastState: [batch, dim] };
  return createNode(scan, { a, b, reset: undefined, state }, shapes, { batch, length, dim });
}

describe('an operation of one kernel', () => {
  it('takes its names from the kernel table', () => {
    const named = (ports: Node['op']['inputs']) =>
      ports === 'list' ? [] : ports.map(({ name, optional }) => (optional ? `${name}?` : name));
    expect(named(scan.inputs)).toEqual(['a', 'b', 'reset?', 'state?']);
    expect(named(scan.outputs)).toEqual(['y', 'lastState?']);
    expect(scan.strided).toEqual(['y']);
    // ld… with a capital: ldGate.
    expect(oneCall('gatedNormForward').strided).toEqual(['y']);
    expect(oneCall('gatedNormBackward').strided).toEqual(['dx', 'dgate', 'daddend']);
    expect(oneCall('mlstmProjectionsForward').strided).toEqual(['qkv', 'gate']);
  });

  it('computes, with the gradients that differences give', async () => {
    const engine = createReferenceEngine();
    const values = { a: [0.5, -0.3, 0.8, 0.2], b: [1, 2, -1, 0.5], state: [0.7, -0.4] };
    const shapes = { a: [1, 2, 2], b: [1, 2, 2], state: [1, 2] };
    const names = ['a', 'b', 'state'] as const;
    const run = async (given: Record<keyof typeof values, number[]>) => {
      const inputs = Object.fromEntries(names.map((n) => [n, { shape: shapes[n], values: given[n] }]));
      return evaluation(engine, inputs, (leaves) => {
        const { y, lastState } = scanOf(leaves.a, leaves.b, leaves.state);
        const loss = add(sum(multiply(y, y)), sum(lastState));
        const gradients = differentiate(
          [loss],
          names.map((n) => leaves[n]),
        );
        return { outputs: { loss, ...Object.fromEntries(names.map((n, i) => [n, gradients[i] as Tensor])) } };
      }).run();
    };
    const found = await run(values);
    for (const name of names) {
      for (const i of values[name].keys()) {
        const moved = async (by: number): Promise<number> => {
          const changed = values[name].map((v, k) => (k === i ? v + by : v));
          return (await run({ ...values, [name]: changed })).loss[0];
        };
        const slope = ((await moved(1e-5)) - (await moved(-1e-5))) / 2e-5;
        expect(found[name][i], `d${name}[${i}]`).toBeCloseTo(slope, 7);
      }
    }
  });
});

describe('gradients', () => {
  const seen: Readonly<Record<string, Tensor | undefined>>[] = [];
  const op = defineOp({
    name: 'several',
    inputs: ['x', 'mask', 'bias?'],
    outputs: ['y', 'z', 'last?', 'stats'],
    constants: ['mask', 'stats'],
    absorbs: ['bias'],
    gradient(_, d, sofar) {
      seen.push({ ...d, sofar: sofar.bias });
      return { dx: d.dy, dbias: sofar.bias && multiply(sofar.bias, 5) };
    },
  });
  const shapes = { y: [2, 3], z: [2, 3], last: [3], stats: [2] };

  it('of outputs on which nothing depends are zeros, of optional ones absent', () => {
    const { last } = createNode(op, { x, mask: other, bias: undefined }, shapes);
    const [dx] = differentiate([sum(last)], [x]);
    const d = seen.pop();
    expect(Object.keys(d ?? {}).sort()).toEqual(['dlast', 'dy', 'dz', 'sofar']);
    expect(d?.dlast).toBeDefined();
    expect(dx).toBe(d?.dy);
    for (const zero of [d?.dy, d?.dz]) expect(zero?.node.attributes).toEqual({ fn: 'multiply', value: 0 });
    const { y } = createNode(op, { x, mask: other, bias: undefined }, shapes);
    differentiate([sum(y)], [x]);
    expect(seen.pop()?.dlast).toBeUndefined();
  });

  it('contributed by other uses are given to what absorbs them, and replaced by what it returns', () => {
    const bias = tensor('bias', [3]);
    const { y } = createNode(op, { x, mask: other, bias }, shapes);
    // Nodes are gone through from the last one back: the other use comes after this one.
    const [dbias] = differentiate([add(sum(y), sum(multiply(bias, 2)))], [bias]);
    expect(seen.pop()?.sofar).toBeDefined();
    expect(dbias?.node.attributes).toEqual({ fn: 'multiply', value: 0 });
  });

  it('are not asked for where constants alone depend on what is wanted', () => {
    const { y } = createNode(op, { x: other, mask: multiply(x, 2), bias: undefined }, shapes);
    expect(differentiate([sum(y)], [x])).toEqual([undefined]);
  });

  it('through a constant output are refused', () => {
    const { stats } = createNode(op, { x, mask: other, bias: undefined }, shapes);
    expect(() => differentiate([sum(stats)], [x])).toThrow('several: no gradient flows through stats');
  });

  it('are missed by name where an operation has none', () => {
    const plain = defineOp({ name: 'plain', inputs: ['x'], outputs: ['y'] });
    const { y } = createNode(plain, { x }, { y: [2, 3] });
    expect(() => differentiate([sum(y)], [x])).toThrow('plain has no gradient');
  });
});

describe('inputs', () => {
  const op = defineOp({ name: 'op', inputs: ['x', 'bias?'], outputs: ['y'] });
  const y = [2, 3];

  it('are those that the operation names; absent ones are left out', () => {
    const all = { x, bias: other, more: other };
    expect(createNode(op, all, { y }).y.node.inputs).toEqual({ x, bias: other });
    expect(Object.keys(createNode(op, { x, bias: undefined }, { y }).y.node.inputs)).toEqual(['x']);
  });

  it('have to be tensors', () => {
    const wrong = { x: [1], bias: undefined } as unknown as { x: Tensor; bias: undefined };
    expect(() => createNode(op, wrong, { y })).toThrow('op: input x is no tensor');
    expect(() => createNode(op, {} as typeof wrong, { y })).toThrow('op: input x is no tensor');
  });

  it('of a wrong name are type errors', () => {
    // @ts-expect-error: an optional input has to be named too
    createNode(op, { x }, { y });
    // @ts-expect-error: no such output
    createNode(op, { x, bias: undefined }, { y, z: y });
    // @ts-expect-error: attributes that it does not have
    createNode(op, { x, bias: undefined }, { y }, { rows: 1 });
    // @ts-expect-error: absorbs no such input
    defineOp({ name: 'op', inputs: ['x'], outputs: ['y'], absorbs: ['w'] });
    // @ts-expect-error: no such input to take the memory of
    defineOp({ name: 'op', inputs: ['x'], outputs: ['y'], inPlace: { y: 'w' } });
    // @ts-expect-error: the gradient of w is missing
    defineOp({ name: 'op', inputs: ['x', 'w?'], outputs: ['y'], gradient: (_, { dy }) => ({ dx: dy }) });
    // @ts-expect-error: there is no dz
    defineOp({ name: 'op', inputs: ['x'], outputs: ['y'], gradient: (_, { dz }) => ({ dx: dz }) });
    defineOp({
      name: 'op',
      inputs: ['x'],
      outputs: ['y'],
      ...attributes<{ readonly rows: number }>(),
      emit({ inputs: { x: read }, outputs, attributes: { rows } }, to) {
        // @ts-expect-error: the kernel's table is missing
        to.call('embeddingForward', { inputs: { tokens: read }, outputs }, { rows, vocab: 1, dim: 1 });
        // @ts-expect-error: the kernel's vocab is missing
        to.call('embeddingForward', { inputs: { tokens: read, table: read }, outputs }, { rows, dim: 1 });
      },
    });
  });
});

describe('places', () => {
  const planOf = (...roots: Tensor[]): Program => plan('p', { io, roots, limits: cpuLimits });

  it('of a state are taken over by name: not where the kernel reads the old state by another input too', () => {
    const state = tensor('state', [1, 4]);
    const next = (b: Tensor): string[] => {
      const { y, lastState } = scanOf(tensor('a', [1, 1, 4]), b, state);
      const roots = [assign(state, lastState), assign(tensor('y', [1, 1, 4]), y)];
      return planOf(...roots).instructions.map(({ kernel }) => kernel);
    };
    expect(next(tensor('b', [1, 1, 4]))).toEqual(['linearScanForward']);
    expect(next(reshape(state, [1, 1, 4]))).toEqual(['linearScanForward', 'map']);
  });

  it('within a matrix are refused to an output whose kernel cannot skip columns', () => {
    const op = defineOp({
      name: 'op',
      inputs: ['logits', 'targets'],
      outputs: ['loss', 'logNormalizer'],
      strided: ['loss'],
      emit: (node, to) => to.call('crossEntropyForward', node, { rows: 2, vocab: 3 }),
    });
    const shapes = { loss: [2, 1], logNormalizer: [2, 1] };
    const { loss } = createNode(op, { logits: x, targets: tensor('targets', [2]) }, shapes);
    const joined = concat([loss, tensor('column', [2, 1])]);
    const roots = [assign(tensor('joined', [2, 2]), joined)];
    expect(() => planOf(...roots)).toThrow('crossEntropyForward: loss cannot be a slice of a matrix');
  });
});
