/**
 * Forecasts of series of numbers by models that have never seen them: `import { loadForecaster } from 'xlstm/forecasting'`.
 *
 * @module xlstm/forecasting
 */

export {
  type Forecast,
  Forecaster,
  type ForecastOptions,
  type OneForecastOptions,
  type TargetForecast,
} from './forecasting/forecaster.ts';
export type { LevelRows } from './forecasting/levels.ts';
export type { ForecastSeries, StepTimes, VariateValues } from './forecasting/series.ts';
export { type LoadForecasterOptions, loadForecaster } from './saved/forecaster_files.ts';
