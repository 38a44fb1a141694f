import { stat } from 'node:fs/promises';
import { type FoundConfigJson, loadConfigJson } from '../checkpoints/checkpoint_folder.ts';
import { readJsonFile } from '../checkpoints/json_file.ts';
import { XlstmError } from '../errors.ts';
import { readDesign } from '../models/registry.ts';
import { Design } from '../nn/architecture.ts';

/**
 * What the model of a checkpoint, of a run, or of a file of its own is built from; of an adapter, its base with it.
 * `source`: the file that says so.
 */
export async function readModelDesign(
  path: string,
): Promise<{ readonly design: Design; readonly source: string }> {
  // A checkpoint that a crash left under another name is found by the name it had.
  const isFile = await stat(path).then(
    (found) => !found.isDirectory(),
    () => false,
  );
  const found: FoundConfigJson = isFile
    ? { json: await readConfigFile(path), source: path }
    : await loadConfigJson(path);
  const { json, source, adapter } = found;
  const design = readDesign(json, source);
  if (!adapter) return { design, source };
  const { architecture, config, packing } = design;
  return { design: new Design(architecture, config, packing, adapter), source: adapter.source };
}

/** The content of a config.json, as parsed. */
export async function readConfigFile(path: string): Promise<unknown> {
  const json = await readJsonFile(path, 'config');
  if (json !== undefined) return json;
  throw new XlstmError('config', `${path}: there is no such file`, "Give a model's config.json.");
}
