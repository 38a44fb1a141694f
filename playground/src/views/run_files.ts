import { unzipSync } from 'fflate';
import type { GivenFile } from '../files.ts';
import type { Files } from '../worker/store.ts';

/** Files of a run that matter here; others of its folder are left out. */
const NAMES =
  /^(?:config\.json|tokenizer.*\.json|model.*\.safetensors(?:\.index\.json)?|optimizer\.safetensors|training\.json|metrics\.jsonl|text\.txt|pytorch_model\.bin|.*\.(?:pt|pth|ckpt))$/;
const MOST_BYTES = 1e9;

/** The files of a model, given one by one, as a folder or in an archive; of a run's folder those of its checkpoint. */
export async function readRunFiles(given: readonly GivenFile[]): Promise<Files> {
  const archives = given.filter(({ path }) => /\.zip$/i.test(path));
  const chosen = newest(given.filter((each) => !archives.includes(each) && NAMES.test(nameOf(each.path))));
  checkSize([...chosen.values(), ...archives].map(({ file }) => file.size));
  const found = new Map<string, Uint8Array>();
  for (const [name, { file }] of chosen) found.set(name, await bytesOf(file));
  for (const { file } of archives) {
    const packed = unzipped(file.name, await bytesOf(file)).map(([path, content]) => ({ path, content }));
    for (const [name, { content }] of newest(packed)) found.set(name, content);
  }
  if (found.has('config.json')) return found;
  const names = given.slice(0, 5).map(({ file }) => file.name);
  throw Object.assign(
    new Error(
      `${names.join(', ')}${given.length > 5 ? ' and others' : ''}: no model. Expected config.json among the files.`,
    ),
    {
      hint: 'Choose the folder of a run, or config.json, model.safetensors and tokenizer.json of a checkpoint together, or a .zip of them.',
    },
  );
}

const nameOf = (path: string): string => path.split('/').at(-1) as string;

/** By name. Of several of one name that of the checkpoint counts, that of the best model least. */
function newest<T extends { readonly path: string }>(files: readonly T[]): Map<string, T> {
  const rank = ({ path }: T): number =>
    /(^|\/)checkpoint\//.test(path) ? 2 : /(^|\/)best\//.test(path) ? 0 : 1;
  const sorted = [...files].sort((a, b) => rank(a) - rank(b));
  return new Map(sorted.map((file) => [nameOf(file.path), file]));
}

async function bytesOf(file: File): Promise<Uint8Array> {
  try {
    return new Uint8Array(await file.arrayBuffer());
  } catch (error) {
    throw Object.assign(new Error(`${file.name}: cannot be read (${(error as Error).message}).`), {
      hint: 'Choose it again; it may have been moved or changed.',
    });
  }
}

function unzipped(name: string, bytes: Uint8Array): [string, Uint8Array][] {
  try {
    let total = 0;
    const filter = ({ name: path, originalSize }: { name: string; originalSize: number }): boolean => {
      if (!NAMES.test(nameOf(path))) return false;
      total += originalSize;
      return total <= MOST_BYTES;
    };
    const found = Object.entries(unzipSync(bytes, { filter }));
    checkSize([total]);
    return found;
  } catch (error) {
    if ('hint' in (error as Error)) throw error;
    throw Object.assign(new Error(`${name}: cannot be unpacked (${(error as Error).message}).`), {
      hint: 'Save it again, or unpack it and choose the files.',
    });
  }
}

function checkSize(sizes: readonly number[]): void {
  const size = sizes.reduce((sum, each) => sum + each, 0);
  if (size <= MOST_BYTES) return;
  throw Object.assign(
    new Error(
      `These files have ${(size / 1e6).toFixed(0)} MB: the page opens models up to ${MOST_BYTES / 1e6} MB.`,
    ),
    { hint: 'xlstm quantize makes them smaller; the command line takes larger ones.' },
  );
}
