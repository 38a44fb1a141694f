import * as v from 'valibot';
import { parseSafetensors, type TensorToWrite, writeSafetensors } from '../checkpoints/safetensors.ts';
import { type Region, shapeText, sizeOf, startOf } from '../compute/program/region.ts';
import { XlstmError } from '../errors.ts';
import { DOCUMENT_LIMITS, parseJson } from '../json.ts';
import { oneLine, quote } from '../quote.ts';
import type { SavedWindow } from './patch_window.ts';

/** How a variate was read: what its scale comes from, and whether by its differences. */
export interface SavedReading {
  readonly mean: number;
  readonly scale: number;
  readonly isBinary: boolean;
  readonly hasTrend: boolean;
}

/** What a stream was asked for, everything said. */
export interface SavedStreamOptions {
  readonly horizon: number;
  readonly levels: readonly number[];
  /** Left out: one target without a name. */
  readonly targets?: readonly string[] | undefined;
  readonly past: readonly string[];
  readonly renewAfter: number;
  readonly anomalyRate: number;
}

/** All that a stream is, between two readings. */
export interface SavedStream {
  readonly options: SavedStreamOptions;
  /** Of the cells, in region order. */
  readonly state: Float32Array | Float64Array;
  readonly window: SavedWindow;
  /** Patches that there were when scales were last taken. */
  readonly renewed: number;
  readonly age: number;
  /** One for each variate, or none where nothing was read. */
  readonly readings: readonly SavedReading[];
  readonly before: readonly number[];
  readonly lastObserved: readonly number[];
  readonly thresholds: readonly number[];
  /** Of each target rows of steps: the levels, the median, and the lowest and the highest band; none where nothing was said. */
  readonly said: readonly (readonly Float64Array[])[];
}

/** Patches that are forecast at the end of one, so that the horizon is there until the end of the next. */
export const patchesSaid = (horizon: number, patchSize: number): number =>
  Math.ceil((horizon + patchSize - 1) / patchSize);

/** Sizes of a stream of a model with these options. */
export interface StreamSizes {
  readonly region: Region;
  readonly patchSize: number;
  readonly contextPatches: number;
  readonly variates: number;
  readonly targets: number;
  /** Steps of what is said. */
  readonly steps: number;
}

const FORMAT = 'xlstm-stream-1';
const STATE = 'state.';

const count = v.pipe(v.number(), v.safeInteger(), v.minValue(0));
const names = v.pipe(v.array(v.string()), v.maxLength(2 ** 16));
const schema = v.strictObject({
  options: v.strictObject({
    horizon: v.number(),
    levels: v.pipe(v.array(v.number()), v.maxLength(2 ** 16)),
    targets: v.optional(names),
    past: names,
    /** null: never. */
    renewAfter: v.nullable(v.number()),
    anomalyRate: v.number(),
  }),
  ...{ patches: count, step: count, renewed: count, age: count },
  isReady: v.boolean(),
  isRead: v.boolean(),
});

/** A safetensors file: `state.<name>` for each array of the cells' states, and in float64 what the stream keeps beside them. */
export function encodeStream(saved: SavedStream, region: Region, fingerprint: string): Uint8Array {
  const { options, state, window, renewed, age, readings, said } = saved;
  const tensors = new Map<string, TensorToWrite>();
  for (const entry of region.entries) {
    const { name, shape } = entry;
    const start = startOf(entry);
    tensors.set(STATE + name, { shape, data: state.slice(start, start + sizeOf(shape)) });
  }
  const add = (name: string, shape: readonly number[], data: Iterable<number>): void => {
    tensors.set(name, { shape, data: Float64Array.from(data) });
  };
  const variates = window.rows.length;
  add(
    'window',
    [variates, window.rows[0].length],
    window.rows.flatMap((row) => [...row]),
  );
  add('thresholds', [saved.thresholds.length], saved.thresholds);
  if (readings.length > 0) {
    const flags = readings.flatMap((r) => [r.mean, r.scale, Number(r.isBinary), Number(r.hasTrend)]);
    add('readings', [variates, 4], flags);
    add('before', [variates], saved.before);
    add('last_observed', [saved.lastObserved.length], saved.lastObserved);
  }
  if (said.length > 0) {
    const rows = said.flatMap((target) => target.flatMap((row) => [...row]));
    add('said', [said.length, said[0].length, said[0][0].length], rows);
  }
  const { patches, step } = window;
  const stream: v.InferOutput<typeof schema> = {
    options: {
      ...{ horizon: options.horizon, levels: [...options.levels], past: [...options.past] },
      ...(options.targets && { targets: [...options.targets] }),
      renewAfter: Number.isFinite(options.renewAfter) ? options.renewAfter : null,
      anomalyRate: options.anomalyRate,
    },
    ...{ patches, step, renewed, age },
    isReady: said.length > 0,
    isRead: readings.length > 0,
  };
  return writeSafetensors(tensors, { format: FORMAT, model: fingerprint, stream: JSON.stringify(stream) });
}

/**
 * Reads what `encodeStream` wrote, for the model of this fingerprint; `sizesOf` says how large its stream is. Throws a checkpoint error for what
 * is damaged or does not fit, and for the stream of another model.
 */
export function decodeStream(
  bytes: Uint8Array,
  fingerprint: string,
  sizesOf: (options: SavedStreamOptions) => StreamSizes,
  source: string,
): SavedStream {
  const { tensors, metadata } = parseSafetensors(bytes, source);
  const fail = (problem: string, hint?: string): never => {
    throw new XlstmError('checkpoint', `${source}: ${problem}`, hint);
  };
  if (metadata.format !== FORMAT) {
    const found = metadata.format === undefined ? 'a file without a format' : quote(metadata.format);
    fail(`expected a saved stream (${FORMAT}), found ${found}`);
  }
  if (metadata.model !== fingerprint) {
    fail(
      `the stream was saved from another model: expected fingerprint ${fingerprint}, found ${quote(metadata.model)}`,
      'Restore it with the model that it was saved from.',
    );
  }
  const json = parseJson(new TextEncoder().encode(metadata.stream ?? ''), `${source}: stream`, 'checkpoint', {
    ...DOCUMENT_LIMITS,
    bytes: 2 ** 26,
  });
  const parsed = v.safeParse(schema, json, { abortEarly: true });
  if (!parsed.success) {
    const [issue] = parsed.issues;
    return fail(`stream: ${v.getDotPath(issue) ?? ''}: ${oneLine(issue.message)}`);
  }
  const { patches, step, renewed, age, isReady, isRead } = parsed.output;
  const { renewAfter, ...others } = parsed.output.options;
  const options = { ...others, renewAfter: renewAfter ?? Number.POSITIVE_INFINITY };
  const { region, patchSize, contextPatches, variates, targets, steps } = sizesOf(options);
  const rows = options.levels.length + 3;
  const shapes = new Map<string, readonly number[]>(
    [...region.entries].map(({ name, shape }) => [STATE + name, shape]),
  );
  shapes.set('window', [variates, contextPatches * patchSize]).set('thresholds', [targets]);
  if (isRead) shapes.set('readings', [variates, 4]).set('before', [variates]).set('last_observed', [targets]);
  if (isReady) shapes.set('said', [targets, rows, steps]);
  for (const name of tensors.keys()) if (!shapes.has(name)) fail(`${quote(name)} is no part of this stream`);
  // All are looked at before any takes memory.
  for (const [name, shape] of shapes) {
    const found = tensors.get(name);
    const fits = found?.dtype === 'F64' || (found?.dtype === 'F32' && name.startsWith(STATE));
    if (found && fits && shapeText(found.shape) === shapeText(shape)) continue;
    const what = found ? `${found.dtype} of ${quote(found.shape)}` : 'none';
    fail(`${quote(name)}: expected F64 of ${quote(shape)}, found ${what}`);
  }
  const read = (name: string, missing = false): Float64Array => {
    const values = tensors.get(name)?.readDoubles() ?? new Float64Array();
    const at = values.findIndex((value) => !Number.isFinite(value) && !(missing && Number.isNaN(value)));
    if (at >= 0) fail(`${quote(name)}: position ${at}: expected a finite number, found ${values[at]}`);
    return values;
  };
  const inRange = step < patchSize && age < patchSize && renewed <= patches && (isRead || !isReady);
  if (!inRange) fail('stream: its counts do not go together: it is damaged');
  const state = new Float64Array(region.elements);
  for (const entry of region.entries) state.set(read(STATE + entry.name), startOf(entry));
  const cut = (values: Float64Array, width: number): Float64Array[] =>
    Array.from({ length: values.length / width }, (_, i) => values.slice(i * width, (i + 1) * width));
  const readings = isRead ? cut(read('readings'), 4) : [];
  return {
    options,
    state,
    window: { rows: cut(read('window', true), contextPatches * patchSize), patches, step },
    ...{ renewed, age },
    readings: readings.map(([mean, scale, isBinary, hasTrend]) => {
      if (!(scale > 0)) fail(`"readings": expected a scale above 0, found ${scale}`);
      return { mean, scale, isBinary: isBinary === 1, hasTrend: hasTrend === 1 };
    }),
    before: [...(isRead ? read('before', true) : [])],
    lastObserved: [...(isRead ? read('last_observed') : [])],
    thresholds: [...read('thresholds')],
    said: isReady ? cut(read('said', true), rows * steps).map((target) => cut(target, steps)) : [],
  };
}
