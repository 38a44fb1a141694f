import { JsonLinesFile, type LineFormat, readJsonLines } from '../checkpoints/json_lines.ts';
import { XlstmError } from '../errors.ts';

/** One line: numbers and texts by name. A number that is not finite becomes null, as JSON has no other word. */
export type MetricsRecord = Readonly<Record<string, number | string | boolean | null>> & {
  /** Steps made, from 0 on. */
  readonly step: number;
};

/** Whether a line holds a step that a run can have made, and beside it nothing that is a list or an object. */
export function isMetricsRecord(value: unknown): value is MetricsRecord {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return false;
  if (!Object.hasOwn(value, 'step')) return false;
  const { step } = value as { step: unknown };
  if (!Number.isSafeInteger(step) || (step as number) < 0) return false;
  return Object.values(value).every((field) => typeof field !== 'object' || field === null);
}

const format: LineFormat<MetricsRecord> = {
  is: isMetricsRecord,
  expected: 'a JSON object with a step',
  hint: 'this is no metrics file; choose another path',
};

/** The metrics of a run, one JSON object a line. */
export class MetricsFile extends JsonLinesFile<MetricsRecord> {
  /**
   * Opens or makes the file. A run that goes on from a checkpoint at step `resumeAt` writes the later steps again:
   * their old lines are removed.
   */
  constructor(path: string, resumeAt = Number.POSITIVE_INFINITY) {
    super(path, format, ({ step }) => step <= resumeAt);
  }
}

/** All whole lines of a metrics file. Throws a data error where it is not there, or holds another thing. */
export function readMetrics(path: string): MetricsRecord[] {
  const lines = readJsonLines(path, format);
  if (!lines) throw new XlstmError('data', `${path}: cannot be read (there is no such file)`);
  return lines.map(({ value }) => value);
}
