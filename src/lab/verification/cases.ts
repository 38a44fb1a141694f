import { readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import * as v from 'valibot';
import { parseJson } from '../../json.ts';
import type { GoldenFile } from './golden.ts';

/** What the JSON file beside a golden file says of its cases. Throws a data error for what the schema does not allow. */
export async function readCases<T extends v.GenericSchema>(
  file: GoldenFile,
  schema: T,
): Promise<v.InferOutput<T>> {
  const name = join(dirname(file.source), file.metadata('cases'));
  const parsed = v.safeParse(schema, parseJson(await readFile(name), name, 'data'), { abortEarly: true });
  if (!parsed.success) throw file.error(`${name}: ${parsed.issues[0].message}`);
  return parsed.output;
}
