import { unzipSync } from 'fflate';
import type { Files } from '../worker/store.ts';

/** Files of a run that matter here; others of its folder are left out. */
const NAMES =
  /^(?:config\.json|tokenizer.*\.json|model.*\.safetensors(?:\.index\.json)?|optimizer\.safetensors|page\.json|text\.txt|pytorch_model\.bin|.*\.(?:pt|pth|ckpt))$/;

/** The files of a model, given one by one, as a folder or in an archive; of a run's folder those of its checkpoint. */
export async function readRunFiles(given: readonly File[]): Promise<Files> {
  const all = new Map<string, Uint8Array>();
  for (const file of given) {
    const bytes = new Uint8Array(await file.arrayBuffer());
    if (/\.zip$/i.test(file.name)) {
      for (const [path, content] of Object.entries(unzipped(file.name, bytes))) all.set(path, content);
    } else {
      all.set(file.webkitRelativePath || file.name, bytes);
    }
  }
  const found = new Map<string, Uint8Array>();
  const rank = (path: string): number =>
    /(^|\/)checkpoint\//.test(path) ? 2 : /(^|\/)best\//.test(path) ? 0 : 1;
  for (const [path, content] of [...all].sort(([a], [b]) => rank(a) - rank(b))) {
    const name = path.split('/').at(-1) as string;
    if (NAMES.test(name)) found.set(name, content);
  }
  if (found.has('config.json')) return found;
  throw Object.assign(
    new Error(`${given.map(({ name }) => name).join(', ')}: no model. Expected config.json among the files.`),
    {
      hint: 'Choose config.json, model.safetensors and tokenizer.json of a checkpoint together, or a .zip of them.',
    },
  );
}

function unzipped(name: string, bytes: Uint8Array): Record<string, Uint8Array> {
  try {
    return unzipSync(bytes);
  } catch (error) {
    throw Object.assign(new Error(`${name}: cannot be unpacked (${(error as Error).message}).`), {
      hint: 'Save it again, or unpack it and choose the files.',
    });
  }
}
