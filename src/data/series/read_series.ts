import { readTable } from '../table_file.ts';
import { type SeriesOptions, seriesOfTable, type TableSeries } from './table_series.ts';

/**
 * Reads the series of a file: CSV with names of columns, JSON lines (.jsonl, .ndjson) or Parquet (.parquet). Throws as
 * `seriesOfTable` does, and a data error for a file that cannot be read.
 */
export const readSeries = async (path: string, options: SeriesOptions = {}): Promise<TableSeries> =>
  seriesOfTable(await readTable(path), options);
