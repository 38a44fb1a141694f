import type { Forecast, TargetForecast } from '../../forecasting/forecast.ts';
import type { Forecaster } from '../../forecasting/forecaster.ts';
import { DEFAULT_QUEUE } from '../batcher.ts';
import { OneByOne } from '../one_by_one.ts';
import type { Answering } from './answering.ts';
import type { ForecastRequest } from './requests.ts';
import { busy } from './served_model.ts';

/** A forecaster under the name that requests call it by. */
export class ServedForecaster {
  /** What requests call it. */
  readonly name: string;
  /** What forecasts. It is not freed by `close`. */
  readonly forecaster: Forecaster;
  /** @internal The requests that wait for it. */
  readonly work = new OneByOne(DEFAULT_QUEUE);
  /** When it was made. */
  readonly created = new Date();

  /** The forecaster is in use until `close`. */
  constructor(forecaster: Forecaster, name: string) {
    this.forecaster = forecaster;
    this.name = name;
  }

  /** Resolves when the requests at work are at their end. */
  async close(): Promise<void> {
    await this.work.done();
  }
}

/** What comes after each series: rows of quantiles by target. */
export async function forecasts(
  raw: Request,
  { name, forecaster, work }: ServedForecaster,
  request: ForecastRequest,
  answering: Answering,
): Promise<object> {
  answering.checkOpen();
  if (work.full) throw busy();
  const series = request.series.map((each) =>
    Array.isArray(each)
      ? each
      : { targets: each.targets, past: each.past ?? undefined, known: each.known ?? undefined },
  );
  const { horizon, levels } = request;
  const options = { horizon, ...(levels ? { levels } : {}) };
  const made = await work.run(() => forecaster.forecastAll(series, options), answering.signal(raw));
  return { object: 'list', model: name, data: made.map(told) };
}

function told({ levels, targets, warnings }: Forecast, index: number): object {
  const of = ({ quantiles, median }: TargetForecast): object => ({
    quantiles: quantiles.map((row) => Array.from(row)),
    median: Array.from(median),
  });
  return {
    object: 'forecast',
    index,
    levels,
    targets: Object.fromEntries(Object.entries(targets).map(([name, target]) => [name, of(target)])),
    warnings,
  };
}
