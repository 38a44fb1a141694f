/** What `xlstm/forecasting` is in Node: all of forecasting.ts, of which loadForecaster reads folders too. */

export * from './forecasting.ts';
export { loadForecaster } from './saved/forecaster_folders.ts';
