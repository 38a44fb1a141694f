import {
  type Forecaster,
  type ForecastStream,
  loadForecaster,
  numericColumns,
  parseTable,
  seriesOfTable,
  type Table,
  type TimeSeries,
} from 'xlstm/forecasting';
import { engine } from './engine.ts';
import { fetchFiles } from './fetch_bytes.ts';

/** What the page may ask about series. */
export interface ForecastCalls {
  /** Reads a table, which takes the place of the one before. */
  openTable(file: { readonly name: string; readonly text: string }): Promise<TableFacts>;
  /** Takes the series of some columns out of it. */
  openSeries(columns: SeriesColumns): Promise<readonly SeriesFacts[]>;
  /** Forecasts from the first `upTo` values of a series. */
  forecastAt(question: ForecastQuestion): Promise<ForecastShown>;
}

export interface TableFacts {
  readonly name: string;
  readonly columns: readonly string[];
  /** Those that can be forecast. */
  readonly numeric: readonly string[];
  readonly rows: number;
  /** The column that seems to tell several series apart. */
  readonly id: string | undefined;
}

export interface SeriesColumns {
  readonly target: string;
  readonly id: string | undefined;
}

export interface SeriesFacts {
  readonly id: string;
  readonly length: number;
}

export interface ForecastQuestion {
  /** Its place among those of the table. */
  readonly series: number;
  readonly upTo: number;
  readonly horizon: number;
  /** Values before the forecast that are to be drawn. */
  readonly history: number;
  /** From the state of a stream that reads on, where it can; else from all values so far. */
  readonly streamed: boolean;
}

export interface ForecastShown {
  /** The step of the first value that is drawn. */
  readonly from: number;
  /** From there on up to the end of the horizon: what was observed, also behind the forecast's beginning. */
  readonly observed: Float64Array;
  /** The time of each, as the table writes it; or the number of its row. */
  readonly times: readonly string[];
  readonly levels: readonly number[];
  /** Of each level a row of `horizon` steps. */
  readonly quantiles: readonly Float64Array[];
  readonly median: Float64Array;
  readonly warnings: readonly string[];
  readonly milliseconds: number;
  /** Of a stream: whether its last reading was far from what was forecast of it. */
  readonly anomaly: boolean;
  /** Of a stream: bytes of its state. */
  readonly stateBytes: number | undefined;
}

export const LEVELS = [0.1, 0.25, 0.5, 0.75, 0.9];

let table: Table | undefined;
let series: readonly TimeSeries[] = [];
let forecaster: Promise<Forecaster> | undefined;
let stream: { readonly reads: ForecastStream; readonly key: string; at: number } | undefined;

const folder = {
  'config.json': new URL('../../../models/forecaster-tiny/config.json', import.meta.url).href,
  'model.safetensors': new URL('../../../models/forecaster-tiny/model.safetensors', import.meta.url).href,
};

function tinyForecaster(): Promise<Forecaster> {
  forecaster ??= (async () => {
    const files = await fetchFiles(folder);
    return loadForecaster({ files }, { engine: await engine() });
  })();
  forecaster.catch(() => {
    forecaster = undefined;
  });
  return forecaster;
}

export const forecastCalls: ForecastCalls = {
  async openTable({ name, text }) {
    const read = await parseTable(text, name);
    table = read;
    const numeric = numericColumns(read);
    return { name, columns: read.columns, numeric, rows: read.rows.length, id: idColumn(read, numeric) };
  },

  async openSeries({ target, id }) {
    if (!table) throw new Error('No table is open.');
    closeStream();
    series = seriesOfTable(table, { target, ...(id !== undefined && { id }) }).series;
    return series.map((one) => ({ id: one.id, length: one.values.length }));
  },

  async forecastAt(question) {
    const { values, times } = series[question.series];
    const model = await tinyForecaster();
    const began = performance.now();
    const found = question.streamed
      ? await streamedForecast(model, values, question)
      : await model.forecast(values.subarray(0, question.upTo), {
          horizon: question.horizon,
          levels: LEVELS,
        });
    const milliseconds = performance.now() - began;
    const { upTo, horizon } = question;
    const from = Math.max(0, upTo - question.history);
    const to = upTo + horizon;
    const observed = new Float64Array(to - from).fill(Number.NaN);
    observed.set(values.subarray(from, Math.min(values.length, to)));
    return {
      from,
      observed,
      times: Array.from(observed, (_, i) => times?.text(from + i) ?? `${from + i + 1}`),
      levels: LEVELS,
      quantiles: found.quantiles,
      median: found.median,
      warnings: 'warnings' in found ? found.warnings : [],
      milliseconds,
      anomaly: 'anomaly' in found && found.anomaly,
      stateBytes: question.streamed ? stream?.reads.stateBytes : undefined,
    };
  },
};

/** Goes on with the stream that has read the values before, or begins one with them. */
async function streamedForecast(
  model: Forecaster,
  values: Float64Array,
  { series, upTo, horizon }: ForecastQuestion,
) {
  const key = `${series} ${horizon}`;
  if (stream?.key === key && stream.at === upTo - 1) {
    stream.at = upTo;
    return stream.reads.push(values[upTo - 1]);
  }
  closeStream();
  const history = values.subarray(0, upTo);
  stream = { reads: model.stream({ horizon, levels: LEVELS, history }), key, at: upTo };
  return stream.reads.forecast();
}

function closeStream(): void {
  stream?.reads.free();
  stream = undefined;
}

/** The first column of texts that are no dates and come again and again. */
function idColumn({ columns, rows }: Table, numeric: readonly string[]): string | undefined {
  return columns.find((name, c) => {
    if (numeric.includes(name)) return false;
    const texts = new Set(rows.map((row) => row[c]));
    return texts.size <= rows.length / 2 && [...texts].every((text) => Number.isNaN(Date.parse(text)));
  });
}
