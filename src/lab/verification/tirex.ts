import { dirname } from 'node:path';
import * as v from 'valibot';
import { loadCheckpoint } from '../../checkpoints/checkpoint_folder.ts';
import type { Engine } from '../../compute/engines/engine.ts';
import { embeddingsOf } from '../../forecasting/embedding.ts';
import { TirexNetworkRunner } from '../../forecasting/tirex_network_runner.ts';
import { rollOut } from '../../forecasting/tirex_rollout.ts';
import { TirexNetwork } from '../../models/tirex/network.ts';
import type { Model } from '../../nn/model.ts';
import { readCases } from './cases.ts';
import { absoluteError, Comparison, type Row } from './compare.ts';
import { type GoldenFile, positiveInteger, tolerance } from './golden.ts';

const scale = v.pipe(v.number(), v.gtValue(0));

const casesSchema = v.object({
  cases: v.array(
    v.object({
      name: v.string(),
      horizon: positiveInteger,
      max_accelerated_rollout_steps: positiveInteger,
      series: v.array(v.object({ context: v.string(), scale })),
      expected: v.string(),
      unscaled: v.string(),
      rtol: tolerance,
    }),
  ),
  embeddings: v.array(
    v.object({
      name: v.string(),
      data: v.string(),
      data_augmentation: v.boolean(),
      embedding: v.string(),
      embedding_scale: v.array(scale),
      embedding_rtol: tolerance,
      hidden: v.optional(v.string()),
      hidden_scale: v.optional(v.array(scale)),
      hidden_rtol: v.optional(tolerance),
    }),
  ),
});
type Cases = v.InferOutput<typeof casesSchema>;

/** What the network gave, max |a − b| / max |b|; a large offset leaves float32 fewer digits. */
const UNSCALED_TOLERANCE = 1e-4;
const WITHOUT_UNSCALED = 'offset';

/** A TiRex in the folder of the file: forecasts of the cases that cases.json beside it names, and embeddings. */
export async function verifyTirex(engine: Engine, file: GoldenFile): Promise<Row[]> {
  const cases = await readCases(file, casesSchema);
  const { model } = await loadCheckpoint(engine, dirname(file.source));
  try {
    if (!(model.network instanceof TirexNetwork)) throw file.error('the model beside it is no TiRex');
    using runner = new TirexNetworkRunner(model as Model<TirexNetwork>);
    const rows: Row[] = [];
    for (const each of cases.cases) rows.push(...(await verifyForecast(runner, file, each)));
    for (const each of cases.embeddings) rows.push(...(await verifyEmbedding(runner, file, each)));
    return rows;
  } finally {
    model.free();
  }
}

async function verifyForecast(
  runner: TirexNetworkRunner,
  file: GoldenFile,
  each: Cases['cases'][number],
): Promise<Row[]> {
  const { name, horizon, series, rtol } = each;
  const comparison = new Comparison(name, rtol);
  const contexts = series.map(({ context }) => file.values(context, file.shape(context, 1)));
  const { quantiles, unscaled } = await rollOut(
    runner,
    contexts,
    horizon,
    each.max_accelerated_rollout_steps,
  );
  const expected = file.values(each.expected, file.shape(each.expected, 3));
  const size = expected.length / series.length;
  for (const [b, { scale }] of series.entries()) {
    const [from, to] = [b * size, (b + 1) * size];
    const error = absoluteError(quantiles.subarray(from, to), expected.subarray(from, to)) / scale;
    comparison.add('quantiles', `${horizon} steps`, error);
  }
  if (name !== WITHOUT_UNSCALED) {
    const values = file.values(each.unscaled, file.shape(each.unscaled, 3));
    const largest = values.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
    comparison.add('unscaled', 'network', absoluteError(unscaled, values) / largest, UNSCALED_TOLERANCE);
  }
  return [...comparison.rows];
}

async function verifyEmbedding(
  runner: TirexNetworkRunner,
  file: GoldenFile,
  each: Cases['embeddings'][number],
): Promise<Row[]> {
  const comparison = new Comparison(each.name, each.embedding_rtol);
  const shape = file.shape(each.data, 3);
  const [batch, variates, length] = shape;
  const data = file.values(each.data, shape);
  const samples = Array.from({ length: batch }, (_, b) =>
    Array.from({ length: variates }, (_, i) =>
      data.subarray((b * variates + i) * length, (b * variates + i + 1) * length),
    ),
  );
  const embeddings = await embeddingsOf(runner, samples, each.data_augmentation);
  const [, features] = file.shape(each.embedding, 2);
  const expected = file.values(each.embedding, [batch, features]);
  for (const [b, embedding] of embeddings.entries()) {
    const own = expected.subarray(b * features, (b + 1) * features);
    comparison.add('embedding', `${batch} samples`, absoluteError(embedding, own) / each.embedding_scale[b]);
  }
  if (each.hidden && each.hidden_scale && each.hidden_rtol) {
    const values = file.values(each.hidden, file.shape(each.hidden, 5));
    const size = values.length / variates;
    for (const [i, { values: found }] of (await runner.hidden(samples.slice(0, 1)))[0].entries()) {
      const own = values.subarray(i * size, (i + 1) * size);
      const error = absoluteError(found, own) / each.hidden_scale[0];
      comparison.add('hidden', 'first sample', error, each.hidden_rtol);
    }
  }
  return [...comparison.rows];
}
