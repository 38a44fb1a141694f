import { dirname } from 'node:path';
import * as v from 'valibot';
import { loadCheckpoint } from '../../checkpoints/checkpoint_folder.ts';
import type { Engine } from '../../compute/engines/engine.ts';
import type { LevelRows } from '../../forecasting/levels.ts';
import type { SeriesRows } from '../../forecasting/series.ts';
import { Tirex2Forecaster } from '../../forecasting/tirex2_forecaster.ts';
import { Tirex2Network } from '../../models/tirex2/network.ts';
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
      options: v.object({
        tta_sign_flip: v.optional(v.boolean()),
        tta_diff: v.optional(v.boolean()),
        pad_context: v.optional(v.boolean()),
      }),
      series: v.array(
        v.object({
          target: v.string(),
          past: v.optional(v.string()),
          future: v.optional(v.string()),
          expected: v.string(),
          scale: v.array(scale),
        }),
      ),
      rtol: tolerance,
    }),
  ),
});
type Case = v.InferOutput<typeof casesSchema>['cases'][number];

/** A TiRex-2 in the folder of the file: forecasts of the cases that cases.json beside it names. */
export async function verifyTirex2(engine: Engine, file: GoldenFile): Promise<Row[]> {
  const cases = await readCases(file, casesSchema);
  const { model } = await loadCheckpoint(engine, dirname(file.source));
  try {
    if (!(model.network instanceof Tirex2Network)) throw file.error('the model beside it is no TiRex-2');
    const forecaster = new Tirex2Forecaster(model as Model<Tirex2Network>);
    const rows: Row[] = [];
    for (const each of cases.cases) rows.push(...(await verifyCase(forecaster, file, each)));
    forecaster.free();
    return rows;
  } finally {
    model.free();
  }
}

async function verifyCase(forecaster: Tirex2Forecaster, file: GoldenFile, each: Case): Promise<Row[]> {
  const { name, horizon, options, series } = each;
  const comparison = new Comparison(name, each.rtol);
  // The official package forecasts no further than the model was made for.
  const steps = Math.min(horizon, forecaster.testedHorizon);
  const rows = series.map((one): SeriesRows => {
    const targets = rowsOf(file, one.target);
    const length = targets[0].length + steps;
    return {
      targets,
      past: rowsOf(file, one.past),
      known: rowsOf(file, one.future).map((row) => row.slice(0, length)),
    };
  });
  const found = await forecaster.forecast(rows, steps, {
    signFlip: options.tta_sign_flip,
    differencing: options.tta_diff,
    padContext: options.pad_context,
  });
  for (const [i, one] of series.entries()) {
    const expected = file.values(one.expected, file.shape(one.expected, 3));
    const size = forecaster.levels.length * steps;
    for (const [t, levels] of found[i].entries()) {
      const error = absoluteError(flat(levels), expected.subarray(t * size, (t + 1) * size)) / one.scale[t];
      comparison.add(`${one.expected} ${t}`, `${steps} steps`, error);
    }
  }
  return [...comparison.rows];
}

const flat = (rows: LevelRows): Float64Array => Float64Array.from(rows.flatMap((row) => [...row]));

function rowsOf(file: GoldenFile, name: string | undefined): Float64Array[] {
  if (name === undefined) return [];
  const shape = file.shape(name, 2);
  const values = Float64Array.from(file.values(name, shape));
  const [count, length] = shape;
  return Array.from({ length: count }, (_, i) => values.slice(i * length, (i + 1) * length));
}
