import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import * as v from 'valibot';
import { parseSafetensors, type SafetensorsFile } from '../../checkpoints/safetensors.ts';
import { type Shape, shapeText } from '../../compute/program/region.ts';
import { XlstmError } from '../../errors.ts';
import { parseJson } from '../../json.ts';
import { oneLine, quote } from '../../quote.ts';

/** A file of golden vectors: inputs, parameters and the numbers that an engine has to arrive at. */
export class GoldenFile {
  readonly source: string;
  readonly #file: SafetensorsFile;

  constructor(bytes: Uint8Array, source: string) {
    this.source = source;
    this.#file = parseSafetensors(bytes, source);
  }

  /** Reads a file, or `expected.safetensors` of a folder. */
  static async read(path: string): Promise<GoldenFile> {
    try {
      const file = (await stat(path)).isDirectory() ? join(path, 'expected.safetensors') : path;
      return new GoldenFile(await readFile(file), file);
    } catch (error) {
      if (error instanceof XlstmError) throw error;
      const { code, path: found = path } = error as NodeJS.ErrnoException;
      throw new XlstmError(
        'data',
        `${found}: cannot be read (${code})`,
        'Give golden files (*.safetensors) or folders that hold an expected.safetensors.',
      );
    }
  }

  /** What the file holds: which computation, in which layout. */
  get kind(): string {
    return this.metadata('kind');
  }

  get names(): readonly string[] {
    return [...this.#file.tensors.keys()];
  }

  /** The shape of a tensor, which has the given number of dimensions if one is given. */
  shape(name: string, dimensions?: number): Shape {
    const { shape } = this.#tensor(name);
    if (dimensions !== undefined && shape.length !== dimensions) {
      throw this.error(`${quote(name)} has shape ${quote(shape)}, expected ${dimensions} dimensions`);
    }
    return shape;
  }

  values(name: string, shape: Shape): Float32Array {
    const tensor = this.#tensor(name);
    if (shapeText(tensor.shape) !== shapeText(shape)) {
      throw this.error(`${quote(name)} has shape ${quote(tensor.shape)}, expected ${quote(shape)}`);
    }
    return tensor.read();
  }

  /** An entry of the metadata, which is JSON, checked. */
  json<T>(key: string, schema: v.GenericSchema<unknown, T>): T {
    const content = new TextEncoder().encode(this.metadata(key));
    const value = parseJson(content, `${this.source}: metadata "${key}"`, 'data');
    const result = v.safeParse(schema, value, { abortEarly: true });
    if (result.success) return result.output;
    const [issue] = result.issues;
    throw this.error(`its metadata "${key}"${at(issue)}: ${oneLine(issue.message, 160)}`);
  }

  /** Whole numbers from 0 to, not including, `limit`, such as token ids. */
  indices(name: string, shape: Shape, limit: number): Float32Array {
    const values = this.values(name, shape);
    const at = values.findIndex((value) => !Number.isInteger(value) || value < 0 || value >= limit);
    if (at < 0) return values;
    throw this.error(`${quote(name)}: expected whole numbers from 0 to ${limit - 1}, found ${values[at]}`);
  }

  metadata(key: string): string {
    const value = this.#file.metadata[key];
    if (value === undefined) throw this.error(`expected "${key}" in its metadata, found none`);
    return value;
  }

  error(problem: string): XlstmError {
    return new XlstmError('data', `${this.source}: ${problem}`, 'It is no file of golden vectors.');
  }

  #tensor(name: string): { shape: Shape; read(): Float32Array } {
    const tensor = this.#file.tensors.get(name);
    if (!tensor) throw this.error(`expected a tensor ${quote(name)}, found none`);
    return tensor;
  }
}

const at = (issue: v.BaseIssue<unknown>): string => {
  const path = v.getDotPath(issue);
  return path === null ? '' : ` at ${path}`;
};

export const positiveInteger = v.pipe(v.number(), v.integer(), v.minValue(1));

export const tolerance = v.pipe(v.number(), v.gtValue(0), v.ltValue(1));
