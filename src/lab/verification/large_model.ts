import { dirname } from 'node:path';
import * as v from 'valibot';
import { loadCheckpoint } from '../../checkpoints/checkpoint_folder.ts';
import type { Engine } from '../../compute/engines/engine.ts';
import { sizeOf } from '../../compute/program/region.ts';
import type { LanguageModel } from '../../nn/layer.ts';
import { Model, takesTokens } from '../../nn/model.ts';
import type { NamedValues } from '../../nn/parameters.ts';
import { SequenceRunner } from '../../nn/sequence_runner.ts';
import { Random } from '../../random.ts';
import { Comparison, type Row, relativeError } from './compare.ts';
import { type GoldenFile, tolerance } from './golden.ts';
import { type Batch, readInPieces } from './pieces.ts';

const tolerancesSchema = v.object({ logits: tolerance, state: v.optional(tolerance, 1e-4) });

/** Tokens of a piece: all at once, no divisor of the lengths in the files, and the recurrent form. */
const PIECES = [Number.POSITIVE_INFINITY, 13, 1];

/** Times that every weight is changed by a rounding, to see what that alone does to the logits. */
const ROUNDINGS = 4;
/** So much more than what these few showed a rounding may do. */
const MARGIN = 4;

/** A model in the folder of the file, as `transformers` stores it: logits, final states, and what it writes greedily. */
export async function verifyLargeModel(engine: Engine, file: GoldenFile): Promise<Row[]> {
  const tolerances = file.json('rtol', tolerancesSchema);
  const place = dirname(file.source);
  const { model } = await loadCheckpoint(engine, place);
  try {
    if (!takesTokens(model)) throw file.error(`the model beside it takes no tokens`);
    return await verify(engine, model, file, tolerances);
  } finally {
    model.free();
  }
}

async function verify(
  engine: Engine,
  model: Model<LanguageModel>,
  file: GoldenFile,
  tolerances: v.InferOutput<typeof tolerancesSchema>,
): Promise<Row[]> {
  const { vocabSize } = model.network;
  const shape = file.shape('tokens', 2);
  if (sizeOf(shape) === 0) throw file.error(`"tokens" has shape [${shape}], expected some tokens`);
  const tokens = { shape, values: file.indices('tokens', shape, vocabSize) };
  const expected = file.values('logits', [...shape, vocabSize]);
  const uncertainty = await roundingEffect(engine, model, tokens);
  const comparison = new Comparison('model', tolerances.state);
  for (const piece of PIECES) {
    const form = piece === 1 ? 'step by step' : piece < shape[1] ? `pieces of ${piece}` : 'whole';
    const { logits, state } = await readInPieces(model, tokens, Math.min(piece, shape[1]));
    const error = errorBeyondRounding(logits, expected, uncertainty, tolerances.logits);
    comparison.add('logits', form, error, tolerances.logits);
    for (const name of file.names.filter((each) => each.startsWith('state.'))) {
      const [, block, part] = name.split('.');
      const computed = state.get(`blocks.${block}.${part}`);
      const values = file.values(name, file.shape(name));
      if (computed?.length !== values.length) throw file.error(`"${name}" is no state of the model`);
      comparison.add(name, form, relativeError(computed, values));
    }
  }
  if (file.names.includes('greedy')) {
    const [, count] = file.shape('greedy', 2);
    const greedy = file.indices('greedy', [1, count], vocabSize);
    const written = await writeGreedily(model, tokens.values.subarray(0, shape[1]), count);
    const wrong = written.filter((token, i) => token !== greedy[i]).length;
    comparison.add('greedy', `${count} tokens`, wrong / count, 0);
  }
  return [...comparison.rows];
}

/**
 * max |a − b|, where a rounding of the weights alone moves a position's logits little; elsewhere reduced in the proportion
 * in which it moves them. The norm of a head whose output is near 0 divides by little more than √eps: no float32
 * arithmetic determines such a position.
 */
function errorBeyondRounding(
  computed: ArrayLike<number>,
  expected: ArrayLike<number>,
  uncertainty: ArrayLike<number>,
  allowed: number,
): number {
  const vocabSize = expected.length / uncertainty.length;
  let worst = 0;
  // Math.max, unlike a comparison, keeps NaN.
  for (let i = 0; i < expected.length; i++) {
    const weight = allowed / (allowed + MARGIN * uncertainty[Math.floor(i / vocabSize)]);
    worst = Math.max(worst, weight * Math.abs(computed[i] - expected[i]));
  }
  return worst;
}

/** By position [B, T]: the most that a logit moves when every weight becomes one of its neighbours in float32. */
async function roundingEffect(
  engine: Engine,
  model: Model<LanguageModel>,
  tokens: Batch,
): Promise<Float64Array> {
  const { design } = model;
  const parameters = await model.read();
  const effect = new Float64Array(sizeOf(tokens.shape));
  const { vocabSize } = model.network;
  const { logits } = await readInPieces(model, tokens, tokens.shape[1]);
  if (!design) return effect;
  using other = Model.empty(engine, design);
  for (let seed = 1; seed <= ROUNDINGS; seed++) {
    const random = new Random(seed);
    other.write(new Map([...parameters].map(([name, tensor]) => [name, rounded(tensor, random)])), 'rounded');
    const moved = (await readInPieces(other, tokens, tokens.shape[1])).logits;
    for (let i = 0; i < logits.length; i++) {
      const at = Math.floor(i / vocabSize);
      effect[at] = Math.max(effect[at], Math.abs(moved[i] - logits[i]));
    }
  }
  return effect;
}

const rounded = ({ shape, values }: NamedValues, random: Random): NamedValues => ({
  shape,
  values: Float32Array.from(values, (value) => value * (1 + (random.uniform() < 0.5 ? -1 : 1) * 2 ** -23)),
});

async function writeGreedily(
  model: Model<LanguageModel>,
  prompt: ArrayLike<number>,
  count: number,
): Promise<number[]> {
  using runner = SequenceRunner.of(model, 1, 'last');
  const written: number[] = [];
  let read = prompt;
  while (written.length < count) {
    const executable = runner.executable(read.length);
    executable.io.write('tokens', read);
    await executable.run();
    const logits = await executable.io.read('logits');
    const token = logits.indexOf(Math.max(...logits));
    written.push(token);
    read = [token];
  }
  return written;
}
