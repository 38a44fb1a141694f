import * as v from 'valibot';
import type { Engine } from '../../compute/engines/engine.ts';
import { parseConfig } from '../../models/xlstm/config.ts';
import { XlstmLanguageModel } from '../../models/xlstm/language_model.ts';
import { Model } from '../../nn/model.ts';
import type { NamedValues, Scope } from '../../nn/parameters.ts';
import { quote } from '../../quote.ts';
import { Trainer } from '../../training/trainer.ts';
import { absoluteError, Comparison, type Row, relativeError } from './compare.ts';
import { type GoldenFile, tolerance } from './golden.ts';
import { type Batch, readInPieces } from './pieces.ts';

const tolerancesSchema = v.object({ logits: tolerance, loss: tolerance, grad: tolerance });

const PARAMETER = 'param.';
const GRADIENT = 'grad.';

/** Tokens of a piece when a sequence is read in pieces: no divisor of the lengths in the files. */
const PIECE = 13;

export async function verifyLanguageModel(engine: Engine, file: GoldenFile): Promise<Row[]> {
  const tolerances = file.json('rtol', tolerancesSchema);
  const config = parseConfig(file.json('config', v.unknown()), `${file.source}: config`);
  const [batch, length] = file.shape('tokens', 2);
  if (batch * length === 0)
    throw file.error(`"tokens" has shape [${batch}, ${length}], expected some tokens`);
  const ids = (name: string): Batch => ({
    shape: [batch, length],
    values: file.indices(name, [batch, length], config.vocabSize),
  });
  const tokens = ids('tokens');
  const targets = ids('targets');
  const shape = [batch, length, config.vocabSize];
  const logits = file.values('logits', shape);
  const build = (scope: Scope) => new XlstmLanguageModel(scope, config);
  const model = Model.load(engine, build, parameters(file), file.source);

  const comparison = new Comparison('model', tolerances.grad);
  const { loss, gradients } = await lossAndGradients(model, tokens, targets);
  const whole = (await readInPieces(model, tokens, length)).logits;
  comparison.add('logits', 'whole', absoluteError(whole, logits), tolerances.logits);
  comparison.add('loss', 'whole', relativeError(loss, file.values('loss', [1])), tolerances.loss);
  const pieces = (await readInPieces(model, tokens, PIECE)).logits;
  comparison.add('logits', `pieces of ${PIECE}`, absoluteError(pieces, logits), tolerances.logits);
  const stepwise = (await readInPieces(model, tokens, 1)).logits;
  const expected = file.values('logits_step', shape);
  comparison.add('logits_step', 'step by step', absoluteError(stepwise, expected), tolerances.logits);
  const rows = [...comparison.rows];
  for (const name of file.names.filter((tensor) => tensor.startsWith(GRADIENT))) {
    const parameter = model.parameters.list.find((p) => GRADIENT + p.name === name);
    if (!parameter) throw file.error(`${quote(name)} is the gradient of no parameter of the model`);
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

/** The mean loss and its gradients by parameter, from the Program that training runs. */
async function lossAndGradients(
  model: Model,
  tokens: Batch,
  targets: Batch,
): Promise<{ loss: readonly number[]; gradients: ReadonlyMap<string, ArrayLike<number>> }> {
  const [batchSize, length] = tokens.shape;
  const trainer = new Trainer(model, { batchSize, length, carryState: true });
  const { loss } = await trainer.computeGradients({ tokens: tokens.values, targets: targets.values });
  const gradients = new Map<string, ArrayLike<number>>();
  for (const memory of trainer.gradients) {
    for (const { name } of memory.region.entries) gradients.set(name, await memory.read(name));
  }
  return { loss: [loss], gradients };
}
