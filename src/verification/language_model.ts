import * as v from 'valibot';
import type { Engine } from '../engine/engine.ts';
import { Model, type NamedValues } from '../nn/model.ts';
import { inferenceProgram, stateRegion } from '../nn/programs.ts';
import { type Shape, sizeOf } from '../program/region.ts';
import { companionsOf, gradientProgram } from '../training/programs.ts';
import { parseConfig } from '../xlstm/config.ts';
import { XlstmLanguageModel } from '../xlstm/language_model.ts';
import { absoluteError, Comparison, type Row, relativeError } from './compare.ts';
import { type GoldenFile, tolerance } from './golden.ts';
import { timeSlice, writeTimeSlice } from './layout.ts';

const tolerancesSchema = v.object({ logits: tolerance, loss: tolerance, grad: tolerance });

const PARAMETER = 'param.';
const GRADIENT = 'grad.';

/** Gradients alone are asked for. */
const NO_UPDATE = { beta1: 0, beta2: 0, epsilon: 0, weightDecay: 0, clipNorm: 0 };

/** Tokens of a piece when a sequence is read in pieces: no divisor of the lengths in the files. */
const PIECE = 13;

export async function verifyLanguageModel(engine: Engine, file: GoldenFile): Promise<Row[]> {
  const tolerances = file.json('rtol', tolerancesSchema);
  const config = parseConfig(file.json('config', v.unknown()), `${file.source}: config`);
  const model = Model.empty(engine, (scope) => new XlstmLanguageModel(scope, config));
  model.write(parameters(file), file.source);

  const [batch, length] = file.shape('tokens', 2);
  const tokens = { shape: [batch, length], values: file.values('tokens', [batch, length]) };
  const targets = { shape: [batch, length], values: file.values('targets', [batch, length]) };
  const shape = [batch, length, config.vocabSize];
  const logits = file.values('logits', shape);

  const comparison = new Comparison('model', tolerances.grad);
  const { loss, gradients } = await lossAndGradients(model, tokens, targets);
  const whole = await readInPieces(model, tokens, length);
  comparison.add('logits', 'whole', absoluteError(whole, logits), tolerances.logits);
  comparison.add('loss', 'whole', relativeError(loss, file.values('loss', [1])), tolerances.loss);
  const pieces = await readInPieces(model, tokens, PIECE);
  comparison.add('logits', `pieces of ${PIECE}`, absoluteError(pieces, logits), tolerances.logits);
  const stepwise = await readInPieces(model, tokens, 1);
  const expected = file.values('logits_step', shape);
  comparison.add('logits_step', 'step by step', absoluteError(stepwise, expected), tolerances.logits);
  const rows = [...comparison.rows];
  for (const name of file.names.filter((tensor) => tensor.startsWith(GRADIENT))) {
    const parameter = model.parameters.list.find((p) => GRADIENT + p.name === name);
    if (!parameter) throw file.error(`"${name}" is the gradient of no parameter of the model`);
    const gradient = file.values(name, parameter.shape);
    const layer = new Comparison(/\bblocks\.\d+/.exec(name)?.[0] ?? 'model', tolerances.grad);
    layer.add(name, 'whole', relativeError(gradients.get(parameter.name) as ArrayLike<number>, gradient));
    rows.push(...layer.rows);
  }
  return rows;
}

function parameters(file: GoldenFile): Map<string, NamedValues> {
  const all = new Map<string, NamedValues>();
  for (const name of file.names.filter((tensor) => tensor.startsWith(PARAMETER))) {
    const shape = file.shape(name);
    all.set(name.slice(PARAMETER.length), { shape, values: file.values(name, shape) });
  }
  return all;
}

interface Batch {
  readonly shape: Shape; // [B, T]
  readonly values: ArrayLike<number>;
}

/** The mean loss and its gradients by parameter, from the Program that training runs. */
async function lossAndGradients(
  { engine, network, parameters, memories }: Model,
  tokens: Batch,
  targets: Batch,
): Promise<{ loss: ArrayLike<number>; gradients: ReadonlyMap<string, ArrayLike<number>> }> {
  const [batch, length] = tokens.shape;
  const companions = companionsOf(parameters);
  const state = engine.allocate(stateRegion(network, batch));
  const gradientMemories = companions.map((c) => engine.allocate(c.gradients));
  const program = gradientProgram(network, companions, state.region, { batch, length }, 'set', NO_UPDATE);
  const executable = engine.bind(program, [...memories, ...gradientMemories, state]);
  const { io } = executable;
  io.write('tokens', tokens.values);
  io.write('targets', targets.values);
  io.write('lossWeight', [1 / sizeOf(tokens.shape)]);
  await executable.run();
  const gradients = new Map<string, ArrayLike<number>>();
  for (const memory of gradientMemories) {
    for (const { name } of memory.region.entries) gradients.set(name, await memory.read(name));
  }
  return { loss: await io.read('loss'), gradients };
}

/** Logits [B, T, V] of tokens that are read `length` at a time, the state handed on through memory. */
async function readInPieces(
  { engine, network, memories }: Model,
  tokens: Batch,
  length: number,
): Promise<Float64Array> {
  const [batch, total] = tokens.shape;
  const state = engine.allocate(stateRegion(network, batch));
  const shape = [batch, total, network.vocabSize];
  const logits = new Float64Array(sizeOf(shape));
  const executables = new Map<number, ReturnType<typeof engine.bind>>();
  for (let t = 0; t < total; t += length) {
    const n = Math.min(length, total - t);
    const executable =
      executables.get(n) ??
      engine.bind(inferenceProgram(network, state.region, batch, n, 'all'), [...memories, state]);
    executables.set(n, executable);
    executable.io.write('tokens', timeSlice(tokens.values, [batch, total, 1], t, t + n));
    await executable.run();
    writeTimeSlice(logits, shape, t, await executable.io.read('logits'));
  }
  return logits;
}
