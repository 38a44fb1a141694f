import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import * as v from 'valibot';
import { makeFolder } from '../../checkpoints/files.ts';
import { JsonLinesFile, type LineFormat, readJsonLines } from '../../checkpoints/json_lines.ts';
import { FileLock } from '../../checkpoints/lock.ts';
import { type Choice, choiceName } from './choices.ts';

/** A command line with some options that were chosen. Plain JSON. */
export interface SweepCell {
  /** Without the options that were chosen. */
  readonly command: readonly string[];
  readonly options: Choice;
  /** Its own, for what the command writes; not there before it begins. */
  readonly folder: string;
}

/** What became of a cell: a line of results.jsonl. */
export interface SweepRecord {
  readonly command: readonly string[];
  readonly options: Choice;
  readonly status: 'done' | 'failed';
  /** What the command printed, with --json. */
  readonly result?: unknown;
  /** Of a cell that failed: what happened. */
  readonly message?: string | undefined;
  readonly seconds: number;
}

/** Runs a cell. Rejects where it was stopped. */
export type SweepRunner = (cell: SweepCell) => Promise<SweepRecord>;

const schema = v.object({
  command: v.array(v.string()),
  options: v.record(v.string(), v.string()),
  status: v.picklist(['done', 'failed']),
  result: v.optional(v.unknown()),
  message: v.optional(v.string()),
  seconds: v.number(),
});
const format: LineFormat<SweepRecord> = {
  is: (value): value is SweepRecord => v.safeParse(schema, value, { abortEarly: true }).success,
  expected: 'the record of a cell of a sweep',
  hint: 'Remove the line, and its cell runs again; or choose another folder with --out.',
};

/** What a sweep is made of. */
export interface Sweep {
  readonly command: readonly string[];
  readonly choices: readonly Choice[];
  /** Has `results.jsonl`, `cells/` and, while it is written, `lock`. */
  readonly folder: string;
  /** Cells at a time. */
  readonly jobs: number;
  readonly runner: SweepRunner;
  /** An abort ends the cells at work; they run again the next time. */
  readonly signal: AbortSignal;
  readonly onRecord: (record: SweepRecord) => void;
}

/** Runs what the folder has no result of yet, and gives the records of all choices that have one, in their order. */
export async function runSweep(sweep: Sweep): Promise<readonly SweepRecord[]> {
  const { command, choices, folder, jobs, runner, signal, onRecord } = sweep;
  await makeFolder(folder);
  const lock = await FileLock.acquire(join(folder, 'lock'), folder);
  try {
    const path = join(folder, 'results.jsonl');
    const name = ({ command, options }: Pick<SweepRecord, 'command' | 'options'>): string =>
      JSON.stringify([command, choiceName(options)]);
    const ended = new Map((readJsonLines(path, format) ?? []).map(({ value }) => [name(value), value]));
    const file = new JsonLinesFile<SweepRecord>(path, format);
    // What failed may have been the machine's fault, and is tried again.
    const waiting = choices.filter((options) => ended.get(name({ command, options }))?.status !== 'done');
    const work = async (): Promise<void> => {
      for (let options = waiting.shift(); options && !signal.aborted; options = waiting.shift()) {
        const cell = { command, options, folder: join(folder, 'cells', folderName(options)) };
        await rm(cell.folder, { recursive: true, force: true });
        await makeFolder(join(folder, 'cells'));
        const record = await runner(cell).catch((error: unknown) => {
          if (!signal.aborted) throw error;
        });
        if (!record) return;
        file.append(record);
        ended.set(name(record), record);
        onRecord(record);
      }
    };
    try {
      const failures = await Promise.allSettled(Array.from({ length: jobs }, work));
      for (const failure of failures) if (failure.status === 'rejected') throw failure.reason;
    } finally {
      file.close();
    }
    return choices.flatMap((options) => ended.get(name({ command, options })) ?? []);
  } finally {
    await lock.release();
  }
}

/** Options may be paths: what cannot be part of a name becomes a dash. */
const folderName = (options: Choice): string => choiceName(options).replace(/[^A-Za-z0-9=.,+-]+/g, '-');
