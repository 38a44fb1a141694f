import { checkChoice, checkNames, checkOption, checkWhole } from '../checks.ts';
import { leaf, leafOf, type Tensor } from '../compute/graph/tensor.ts';
import { Region, type Shape, sizeOf } from '../compute/program/region.ts';
import { XlstmError } from '../errors.ts';
import { formatDesign } from '../models/registry.ts';
import { SequenceNetwork } from '../models/sequence/network.ts';
import { stateLeaves, stateRegion } from '../nn/inference_programs.ts';
import { isLanguageModel, type Network, Pass } from '../nn/layer.ts';
import type { Model } from '../nn/model.ts';
import { OnnxGraph } from './graph.ts';
import { modelProto, type Port } from './messages.ts';
import { nodesBehind, translate } from './translate.ts';

/** What the file is to be for. */
export interface OnnxOptions {
  /**
   * `step` (default): one step, with the state going in and coming out. `sequence`: a whole sequence of any length from
   * the state before its first step on.
   */
  readonly form?: 'step' | 'sequence';
  /** Sequences at once. Default: 1. */
  readonly batch?: number;
}

/** Sizes are known to readers of the format as int32. */
const MAX_BYTES = 2 ** 31 - 1;

/** The name of the size that a sequence's length is. */
const STEPS = 'steps';

/** One step of a network as a graph, and what a file calls its ends. */
interface Step {
  readonly input: Port;
  readonly x: Tensor;
  readonly y: Tensor;
  readonly outputName: string;
  readonly before: Readonly<Record<string, Tensor>>;
  readonly after: Readonly<Record<string, Tensor>>;
  /** Of the outputs of a sequence's steps, one after another along axis 1, those of the sequence. */
  pool(graph: OnnxGraph, y: string): string;
  /** What `predict` makes of the network's numbers: y [B, T, width]. */
  finish(graph: OnnxGraph, y: string): string;
  /** Results of a sequence. */
  readonly resultSteps: 1 | typeof STEPS;
}

/**
 * A model as an ONNX file (opset 17, float32) for inference. Inputs: `x` [batch, 1 or steps, inputs] in the units of the
 * data, of a language model `tokens` [batch, 1 or steps] (int64); in the step form `state.NAME` for each state, zeros
 * before a sequence. Outputs: `y` [batch, 1 or steps, width], what `predict` says: values, quantiles (all outputs' lowest
 * first), the classes' probabilities, or features; of a language model `logits`; and `next.NAME`, the states to go on
 * from. The metadata has the configuration.
 * Throws a usage error that names the operation and the layer for what has no translation.
 */
export async function exportOnnx(
  model: Model<Network> | { readonly model: Model<Network> },
  options: OnnxOptions = {},
): Promise<Uint8Array<ArrayBuffer>> {
  checkNames('exportOnnx', options, ['form', 'batch']);
  const { form = 'step', batch = 1 } = options;
  checkChoice('form', form, ['step', 'sequence']);
  checkWhole('batch', batch, 1);
  const of = 'model' in model ? model.model : model;
  of.use.enter('exportOnnx');
  try {
    const step = traceStep(of.network, batch, form);
    const graph = new OnnxGraph();
    const names = await writeParameters(of, step, graph);
    const parts = form === 'step' ? writeStep(step, graph, names) : writeSequence(step, graph, names);
    const config = of.design ? [['config', JSON.stringify(formatDesign(of.design))]] : [];
    const message = modelProto(
      graph.finish(form, parts.inputs, parts.outputs),
      Object.fromEntries([['form', form], ...config]),
    );
    checkOption(
      message.bytes <= MAX_BYTES,
      'the model',
      'at most 2 GiB, which one ONNX file can hold',
      message.bytes,
    );
    return message.toBytes();
  } finally {
    of.use.leave();
  }
}

function traceStep(network: Network, batch: number, form: 'step' | 'sequence'): Step {
  const io = new Region('io');
  const before = stateLeaves(stateRegion(network, batch));
  const same = (_: OnnxGraph, y: string): string => y;
  if (isLanguageModel(network)) {
    const tokens = leaf(io, 'tokens', [batch, 1]);
    const { y, state } = network.forward(tokens, new Pass(), before);
    return {
      input: { name: 'tokens', type: 'int64', shape: tokens.shape },
      x: tokens,
      y: network.logits(y),
      outputName: 'logits',
      before,
      after: statesAfter(before, state),
      pool: same,
      finish: same,
      resultSteps: STEPS,
    };
  }
  if (!(network instanceof SequenceNetwork)) {
    throw new XlstmError(
      'usage',
      'exportOnnx: expected a sequence model or a language model, found another network',
      'A network of yours is a language model if it has vocabSize, forward and logits.',
    );
  }
  const { inputs, bidirectional, pool, classes, quantiles, outputs } = network.config;
  if (bidirectional || (pool === 'mean' && form === 'step')) {
    throw new XlstmError(
      'usage',
      bidirectional
        ? 'exportOnnx: the layers below "backward" read sequences from their end: that is not written (bidirectional)'
        : 'exportOnnx: the model takes the mean over all steps: a step has no result (pool: mean)',
      bidirectional ? 'Train a model with bidirectional: false.' : "Export the form 'sequence'.",
    );
  }
  const x = leaf(io, 'x', [batch, 1, inputs]);
  const { y, state } = network.forward(x, new Pass(), before);
  return {
    input: { name: 'x', type: 'float', shape: x.shape },
    x,
    y: network.restore(y),
    outputName: 'y',
    before,
    after: statesAfter(before, state),
    pool(graph, steps) {
      if (pool === 'none') return steps;
      // What follows the mean in the network, a linear layer and a scaler, has the same result before it.
      if (pool === 'mean') return graph.mean(steps, 1);
      return graph.node('Gather', [steps, graph.ints([-1])], { axis: 1 });
    },
    finish(graph, numbers) {
      if (classes.length > 0) return graph.node('Softmax', [numbers], { axis: 2 });
      if (quantiles.length < 2) return numbers;
      const apart = graph.node('Reshape', [numbers, graph.ints([batch, -1, quantiles.length, outputs])]);
      const count = graph.ints([quantiles.length]);
      const [ascending] = graph.nodes('TopK', [apart, count], 2, { axis: 2, largest: 0, sorted: 1 });
      return graph.node('Reshape', [ascending, graph.ints([batch, -1, quantiles.length * outputs])]);
    },
    resultSteps: pool === 'none' ? STEPS : 1,
  };
}

function statesAfter(
  before: Readonly<Record<string, Tensor>>,
  after: Readonly<Record<string, Tensor>>,
): Readonly<Record<string, Tensor>> {
  const missing = Object.keys(before).find((name) => !after[name]);
  if (missing === undefined) return after;
  throw new XlstmError(
    'usage',
    `exportOnnx: the network's stateShapes names "${missing}", its forward returned no such state`,
  );
}

/** Writes the parameters that a step reads, under their names: no other value's begin so. */
async function writeParameters(
  model: Model<Network>,
  { y, x, before, after }: Step,
  graph: OnnxGraph,
): Promise<Map<Tensor, string>> {
  const ends = new Set([x, ...Object.values(before)]);
  const names = new Map<Tensor, string>();
  const written = new Set<string>();
  for (const node of nodesBehind([y, ...Object.values(after)], names)) {
    const [t] = Object.values(node.outputs) as Tensor[];
    const found = leafOf(t);
    if (!found || ends.has(t)) continue;
    const memory = model.memories.find(({ region }) => region === found.region);
    if (!memory) {
      throw new XlstmError(
        'usage',
        `exportOnnx: the network reads "${found.name}", which is neither a parameter nor a state nor its input`,
      );
    }
    const name = `parameters.${found.name}`;
    if (!written.has(name)) {
      written.add(name);
      graph.initializer(name, t.shape, (await memory.read(found.name)).subarray(0, sizeOf(t.shape)));
    }
    names.set(t, name);
  }
  return names;
}

interface Ends {
  readonly inputs: readonly Port[];
  readonly outputs: readonly Port[];
}

const statePorts = (prefix: string, before: Readonly<Record<string, Tensor>>): Port[] =>
  Object.entries(before).map(([name, { shape }]) => ({ name: `${prefix}.${name}`, type: 'float', shape }));

/** The step itself, its input and states known by name: its result and the states after it. */
function writeGraph(
  { x, y, before, after }: Step,
  graph: OnnxGraph,
  names: Map<Tensor, string>,
  input: string,
  states: readonly string[],
): { readonly y: string; readonly states: readonly string[] } {
  names.set(x, graph.cast(graph.reshape(input, x.shape), 'float'));
  for (const [i, t] of Object.values(before).entries()) names.set(t, states[i]);
  const next = Object.keys(before).map((name) => after[name]);
  translate([y, ...next], graph, names);
  const [result, ...nextStates] = [y, ...next].map((t) => names.get(t) as string);
  return { y: result, states: nextStates };
}

const withSteps = (shape: Shape, steps: number | string): (number | string)[] =>
  shape.map((size, axis) => (axis === 1 ? steps : size));

function writeStep(step: Step, graph: OnnxGraph, names: Map<Tensor, string>): Ends {
  const { input, before, y, outputName } = step;
  const states = statePorts('state', before);
  const next = statePorts('next', before);
  const made = writeGraph(
    step,
    graph,
    names,
    input.name,
    states.map(({ name }) => name),
  );
  graph.rename(step.finish(graph, made.y), outputName);
  for (const [i, { name }] of next.entries()) graph.rename(made.states[i], name);
  return {
    inputs: [input, ...states],
    outputs: [{ name: outputName, type: 'float', shape: y.shape }, ...next],
  };
}

/** A Scan over the steps, whose body is the step. */
function writeSequence(step: Step, graph: OnnxGraph, names: Map<Tensor, string>): Ends {
  const { input, before, y, outputName } = step;
  const [batch, , width] = y.shape;
  const body = new OnnxGraph(graph);
  const stepInput: Port = {
    ...input,
    name: `step.${input.name}`,
    shape: input.shape.filter((_, axis) => axis !== 1),
  };
  const stepOutput: Port = { name: `step.${outputName}`, type: 'float', shape: [batch, width] };
  const carried = statePorts('step.state', before);
  const carriedNext = statePorts('step.next', before);
  const next = statePorts('next', before);
  const made = writeGraph(
    step,
    body,
    names,
    stepInput.name,
    carried.map(({ name }) => name),
  );
  body.rename(body.reshape(made.y, [batch, width]), stepOutput.name);
  for (const [i, { name }] of carriedNext.entries()) body.rename(made.states[i], name);
  const scanned = graph.nodes(
    'Scan',
    [...Object.values(before).map(({ shape }) => graph.zeros(shape)), input.name],
    carried.length + 1,
    {
      body: { graph: body.finish('step', [...carried, stepInput], [...carriedNext, stepOutput], true) },
      num_scan_inputs: 1,
      scan_input_axes: [1],
      scan_output_axes: [1],
    },
  );
  for (const [i, { name }] of next.entries()) graph.rename(scanned[i], name);
  graph.rename(step.finish(graph, step.pool(graph, scanned[next.length])), outputName);
  const output: Port = { name: outputName, type: 'float', shape: withSteps(y.shape, step.resultSteps) };
  return {
    inputs: [{ ...input, shape: withSteps(input.shape as Shape, STEPS) }],
    outputs: [output, ...next],
  };
}
