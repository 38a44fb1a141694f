import type { ForecastHistory, ForecastMethod } from './forecast_method.ts';
import type { Forecaster } from './forecaster.ts';
import type { LevelRows } from './levels.ts';

/**
 * A model's forecasts as a method, to be measured beside others; targets of one moment are forecast together. `warn` is told
 * what a reader should know of the bands.
 */
export const modelMethod =
  (forecaster: Forecaster, warn: (warning: string) => void = () => {}): ForecastMethod =>
  async (histories, horizon, levels) => {
    const groups = byMoment(histories);
    const forecasts = await forecaster.forecastAll(
      groups.map((group) => {
        const { past, known } = histories[group[0]];
        return {
          targets: Object.fromEntries(group.map((h, v) => [v, histories[h].values])),
          ...(forecaster.takesCovariates && { past, known }),
        };
      }),
      { horizon, levels },
    );
    const found: LevelRows[] = new Array(histories.length);
    for (const [g, group] of groups.entries()) {
      for (const [v, h] of group.entries()) found[h] = forecasts[g].targets[v].quantiles;
      forecasts[g].warnings.forEach(warn);
    }
    return found;
  };

/** The places of histories that are forecast together. */
function byMoment(histories: readonly ForecastHistory[]): number[][] {
  const groups = new Map<string | number, number[]>();
  for (const [h, { together, values }] of histories.entries()) {
    const key = together === undefined ? h : `${values.length} ${together}`;
    const group = groups.get(key);
    if (group) group.push(h);
    else groups.set(key, [h]);
  }
  return [...groups.values()];
}
