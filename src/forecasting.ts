/**
 * Forecasts of series of numbers by models that have never seen them: `import { loadForecaster } from 'xlstm/forecasting'`.
 *
 * @module xlstm/forecasting
 */

export type { Forecast, TargetForecast } from './forecasting/forecast.ts';
export type {
  ForecastStream,
  StreamForecast,
  StreamOptions,
  StreamReading,
} from './forecasting/forecast_stream.ts';
export { Forecaster, type ForecastOptions, type OneForecastOptions } from './forecasting/forecaster.ts';
export type {
  Classified,
  HeadFacts,
  HeadMeasures,
  SeriesClassifier,
  SeriesHead,
  SeriesRegressor,
  SeriesSamples,
} from './forecasting/heads/series_head.ts';
export { type TrainHeadOptions, trainClassifier, trainRegressor } from './forecasting/heads/train_head.ts';
export type { LevelRows } from './forecasting/levels.ts';
export type { NetworkForecastOptions } from './forecasting/network_forecaster.ts';
export type { ForecastSeries, StepTimes, VariateValues } from './forecasting/series.ts';
export { type LoadForecasterOptions, loadForecaster } from './saved/forecaster_files.ts';
export { encodeHead, type HeadSource, loadHead, saveHead } from './saved/head_files.ts';

// Series with times, and measuring forecasts of them.

export type { Frequency } from './data/series/frequency.ts';
export { type SeriesOptions, seriesOfTable, type TableSeries } from './data/series/table_series.ts';
export type { TimeAxis } from './data/series/time_axis.ts';
export { type TimedValue, type TimeSeries, timeSeries } from './data/series/time_series.ts';
export { numericColumns, parseTable, type Table } from './data/table.ts';
export {
  type BacktestOptions,
  type BacktestResult,
  type BacktestSeries,
  type BacktestWindow,
  backtest,
} from './forecasting/backtest.ts';
export { exponentialSmoothing } from './forecasting/baselines/exponential_smoothing.ts';
export { seasonalNaive } from './forecasting/baselines/seasonal_naive.ts';
export type { ForecastHistory, ForecastMethod } from './forecasting/forecast_method.ts';
export type { Measures } from './forecasting/measures.ts';
export { type TrainForecasterOptions, trainForecaster } from './forecasting/training/train_forecaster.ts';
export type { ForecasterStep } from './forecasting/training/train_on_windows.ts';
export {
  type HeldOutMeasurement,
  type TuneForecasterOptions,
  type TuneForecasterResult,
  tuneForecaster,
} from './forecasting/training/tune_forecaster.ts';
