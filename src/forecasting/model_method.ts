import type { ForecastMethod } from './forecast_method.ts';
import type { Forecaster } from './forecaster.ts';

/** A model's forecasts as a method, to be measured beside others. `warn` is told what a reader should know of the bands. */
export const modelMethod =
  (forecaster: Forecaster, warn: (warning: string) => void = () => {}): ForecastMethod =>
  async (histories, horizon, levels) => {
    const forecasts = await forecaster.forecastAll(
      histories.map(({ values, past, known }) => ({
        targets: { value: values },
        ...(forecaster.takesCovariates && { past, known }),
      })),
      { horizon, levels },
    );
    for (const { warnings } of forecasts) warnings.forEach(warn);
    return forecasts.map(({ quantiles }) => quantiles);
  };
