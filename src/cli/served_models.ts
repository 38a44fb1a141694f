import { basename, resolve } from 'node:path';
import { loadCheckpoint, textModel } from '../checkpoints/checkpoint_folder.ts';
import type { Engine } from '../compute/engines/engine.ts';
import { XlstmError } from '../errors.ts';
import { Forecaster } from '../forecasting/forecaster.ts';
import { ServedForecaster } from '../serving/http/forecasts.ts';
import { ServedModel } from '../serving/http/served_model.ts';
import { checkpointOptions, type LoadingOptions } from './loading_options.ts';

/** What the options of `serve` say of its models. */
export interface ServedOptions extends LoadingOptions {
  readonly name?: string;
  readonly slots: number;
  readonly queue: number;
  readonly maxTokens: number;
  readonly maxPromptTokens: number;
}

/** Each place by what is there: a model of text, or a forecaster. */
export async function openServed(
  engine: Engine,
  places: readonly string[],
  options: ServedOptions,
): Promise<{ readonly models: ServedModel[]; readonly forecasters: ServedForecaster[] }> {
  const { slots, queue, maxTokens, maxPromptTokens, adapter } = options;
  const names = places.map((place) => options.name ?? basename(resolve(place)));
  const twice = names.find((name, i) => names.indexOf(name) < i);
  if (twice !== undefined) {
    throw new XlstmError(
      'usage',
      `${places.length} models by the name ${twice}`,
      'Give folders of different names; --name is for one model alone.',
    );
  }
  if (adapter !== undefined && places.length > 1)
    throw new XlstmError('usage', '--adapter: expected one model, that it is over');
  const models: ServedModel[] = [];
  const forecasters: ServedForecaster[] = [];
  const loading = await checkpointOptions(options);
  for (const [i, place] of places.entries()) {
    const loaded = await loadCheckpoint(engine, place, loading);
    if (Forecaster.fits(loaded.model)) {
      forecasters.push(new ServedForecaster(new Forecaster(loaded.model), names[i]));
      continue;
    }
    const { model, tokenizer } = textModel(loaded, place);
    models.push(
      new ServedModel(model, tokenizer, { name: names[i], slots, queue, maxTokens, maxPromptTokens }),
    );
  }
  return { models, forecasters };
}
