import type { Forecaster } from '../forecasting/forecaster.ts';
import { type LoadForecasterOptions, loadForecasterBy } from './forecaster_files.ts';
import type { ModelSource } from './given_files.ts';
import { loadModel } from './model_folders.ts';

/** As `loadForecaster` of forecaster_files.ts, and from folders. */
export const loadForecaster = (
  source: ModelSource,
  options: LoadForecasterOptions = {},
): Promise<Forecaster> => loadForecasterBy(loadModel, source, options);
