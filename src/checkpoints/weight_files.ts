import { XlstmError } from '../errors.ts';
import { parseJson } from '../json.ts';
import { oneLine, quote } from '../quote.ts';
import type { ModelFiles } from './model_source.ts';

/**
 * Which files hold a model's weights, in this order: model.safetensors; the shards that model.safetensors.index.json
 * names, {"weight_map": {tensor: file}}; shards without an index, model-00001-of-00006.safetensors or model_1.safetensors;
 * pytorch_model.bin; the only .pt, .pth or .ckpt.
 */

const SINGLE = 'model.safetensors';
export const INDEX = 'model.safetensors.index.json';
const TORCH = 'pytorch_model.bin';
const SHARD = /^model[-_](\d+)(?:-of-(\d+))?\.safetensors$/;

/** A name and a file for each of a model's tensors. */
const INDEX_LIMITS = { bytes: 2 ** 26, depth: 3 };

/** Of the files of a folder those that can hold weights, the index of shards included. */
export function weightsIn(present: readonly string[]): readonly string[] {
  if (present.includes(SINGLE)) return [SINGLE];
  const shards = present.filter((name) => SHARD.test(name));
  if (present.includes(INDEX)) {
    // A shard may have any name: the index tells.
    return [INDEX, ...present.filter((name) => name.endsWith('.safetensors'))];
  }
  if (shards.length > 0) return shards.sort(byNumber);
  return present.includes(TORCH) ? [TORCH] : present.filter((name) => /\.(pt|pth|ckpt)$/i.test(name)).sort();
}

const byNumber = (a: string, b: string): number =>
  Number(SHARD.exec(a)?.[1] ?? 0) - Number(SHARD.exec(b)?.[1] ?? 0);

/** The names of the files that hold the weights, none of them missing. Throws a checkpoint error that names the file. */
export async function weightsOf(files: ModelFiles): Promise<readonly string[]> {
  const found = weightsIn(files.names);
  if (found[0] === INDEX)
    return shardsOf(parseIndex(await files.read(INDEX), `${files.place}${INDEX}`), files);
  if (found.length <= 1) return found.length === 1 ? found : [SINGLE];
  const totals = new Set(found.map((name) => SHARD.exec(name)?.[2]));
  const [total] = totals;
  if (found.every((name) => SHARD.test(name)) && totals.size === 1) {
    if (total === undefined) return consecutive(found, files);
    if (found.length === Number(total)) return found;
    throw new XlstmError(
      'checkpoint',
      `${folder(files)}: expected ${Number(total)} files of weights, as their names say, found ${found.length}${firstMissing(found)}`,
      'Download what is missing.',
    );
  }
  throw new XlstmError(
    'checkpoint',
    `${folder(files)}: expected one file of weights, found ${found.length}: ${oneLine(found.join(', '), 200)}`,
    'Leave the one that is meant beside config.json.',
  );
}

/** The first of model-00001-of-00006.safetensors, … that is not there; nothing where there are too many. */
function firstMissing(found: readonly string[]): string {
  const numbers = new Set(found.map((name) => Number(SHARD.exec(name)?.[1])));
  const [name, digits, total] = SHARD.exec(found[0]) as RegExpExecArray;
  for (let i = 1; i <= Number(total); i++)
    if (!numbers.has(i)) return `; ${name.replace(digits, `${i}`.padStart(digits.length, '0'))} is missing`;
  return '';
}

/** model_0, model_1, …: a gap is a file that is missing. */
function consecutive(found: readonly string[], { place }: ModelFiles): readonly string[] {
  const first = Number(SHARD.exec(found[0])?.[1]);
  const gap = found.findIndex((name, i) => Number(SHARD.exec(name)?.[1]) !== first + i);
  if (first <= 1 && gap < 0) return found;
  const missing = first > 1 ? 0 : first + gap;
  throw new XlstmError(
    'checkpoint',
    `${place}${found[0].replace(/\d+/, `${missing}`)}: there is no such file, and ${found[Math.max(gap, 0)]} follows it`,
    'Download what is missing.',
  );
}

const folder = ({ place }: ModelFiles): string => place.replace(/\/$/, '') || 'files';

/** The file of each tensor by an index. `source` begins errors. */
export function parseIndex(content: Uint8Array, source: string): ReadonlyMap<string, string> {
  const json = parseJson(content, source, 'checkpoint', INDEX_LIMITS);
  const { weight_map: map } = (typeof json === 'object' && json !== null ? json : {}) as {
    weight_map?: unknown;
  };
  const entries = typeof map === 'object' && map !== null && !Array.isArray(map) ? Object.entries(map) : [];
  if (entries.length === 0) {
    throw new XlstmError(
      'checkpoint',
      `${source}: expected the file of each tensor under weight_map, found ${quote(map)}`,
    );
  }
  for (const [tensor, file] of entries) {
    // Nothing but a file of this folder.
    if (typeof file === 'string' && /^[^/\\:\p{C}]+\.safetensors$/u.test(file)) continue;
    throw new XlstmError(
      'checkpoint',
      `${source}: weight_map.${oneLine(tensor)}: expected the name of a .safetensors file, found ${quote(file)}`,
    );
  }
  return new Map(entries as [string, string][]);
}

function shardsOf(index: ReadonlyMap<string, string>, files: ModelFiles): readonly string[] {
  const shards = [...new Set(index.values())].sort();
  const missing = shards.find((name) => !files.names.includes(name));
  if (missing === undefined) return shards;
  const [tensor] = [...index].find(([, file]) => file === missing) as [string, string];
  throw new XlstmError(
    'checkpoint',
    `${files.place}${missing}: there is no such file; by ${INDEX} it holds ${oneLine(tensor)} and others`,
    'Download what is missing.',
  );
}
