import type { LoadedModel } from '../checkpoints/checkpoint.ts';
import { checkNames } from '../checks.ts';
import type { Engine } from '../compute/engines/engine.ts';
import type { Precision } from '../compute/graph/plan.ts';
import { XlstmError } from '../errors.ts';
import { Forecaster } from '../forecasting/forecaster.ts';
import type { ModelSource } from './given_files.ts';
import type { LoadedAs } from './loaded.ts';
import { loadModel } from './model_files.ts';

/** How a forecaster is loaded. */
export interface LoadForecasterOptions {
  /** What computes. Default: the fastest engine there is, which all models share that are given none. */
  readonly engine?: Engine;
  /**
   * What matrices are multiplied in. With bf16 they are rounded once, as they are read: about twice as fast products, half the memory, and forecasts
   * that differ by some thousandths of the deviation of a series. It takes the native engine on a processor with avx512_bf16, or webgpu; another one
   * is refused, as are small weights. The forecaster can then be used, not trained or saved. Default: f32.
   */
  readonly precision?: Precision;
}

/**
 * Loads a TiRex: from an address, or its files (config.json and model.safetensors, or model.ckpt); in Node also from a folder, or
 * by the name under which `xlstm download` fetched it. Throws an error that names the file for what is missing, damaged
 * or does not forecast.
 */
export const loadForecaster = (
  source: ModelSource,
  options: LoadForecasterOptions = {},
): Promise<Forecaster> => loadForecasterBy(loadModel, source, options);

/** The same by a function that loads models. */
export async function loadForecasterBy(
  load: (source: ModelSource, options: LoadForecasterOptions) => Promise<LoadedAs['any']>,
  source: ModelSource,
  options: LoadForecasterOptions,
): Promise<Forecaster> {
  checkNames('loadForecaster', options, ['engine', 'precision']);
  const { model } = (await load(source, options)) as LoadedModel;
  if (Forecaster.fits(model)) return new Forecaster(model);
  const summary = model.design?.describe().summary;
  model.free();
  throw new XlstmError(
    'checkpoint',
    `${typeof source === 'object' && 'files' in source ? 'files' : source}: expected a forecaster, found ${summary}`,
    'loadModel loads models of every kind.',
  );
}
