/** What `xlstm/forecasting` is in Node: all of forecasting.ts, with loadForecaster and loadHead for folders too, and saveHead. */

export * from './forecasting.ts';
export { loadForecaster } from './saved/forecaster_folders.ts';
export { loadHead, saveHead } from './saved/head_folders.ts';
