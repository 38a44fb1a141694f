import { fileURLToPath } from 'node:url';
import type { GivenAdapter } from '../checkpoints/adapter_files.ts';
import { loadAdapter, loadCheckpoint, saveCheckpoint } from '../checkpoints/checkpoint_folder.ts';
import { checkOption } from '../checks.ts';
import { checkSource, type ModelSource } from './given_files.ts';
import { type LoadedAs, type LoadOptions, loadAs } from './loaded.ts';
import { checkpointOf, decodeSource, placeOf, readAdapter, type SavableModel } from './model_files.ts';

/** As `loadModel` of model_files.ts, and from folders. */
export function loadModel<K extends keyof LoadedAs = 'any'>(
  source: ModelSource,
  options: LoadOptions<K> = {},
): Promise<LoadedAs[K]> {
  checkSource(source);
  const { precision } = options;
  const folder = folderOf(source);
  return loadAs(options, folder ?? placeOf(source), async (engine) => {
    const adapter = options.adapter === undefined ? undefined : await adapterAt(options.adapter);
    return folder === undefined
      ? decodeSource(engine, source, { adapter, precision })
      : loadCheckpoint(engine, folder, { adapter, precision });
  });
}

function adapterAt(source: ModelSource): Promise<GivenAdapter> {
  const folder = folderOf(source);
  return folder === undefined ? readAdapter(source) : loadAdapter(folder);
}

function folderOf(source: ModelSource): string | undefined {
  if (source instanceof URL) return source.protocol === 'file:' ? fileURLToPath(source) : undefined;
  if (typeof source !== 'string' || /^https?:/i.test(source)) return undefined;
  return /^file:/i.test(source) ? fileURLToPath(source) : source;
}

/** What `saveModel` of model_files.ts says. */
export async function saveModel(model: SavableModel, folder: string): Promise<void> {
  checkOption(typeof folder === 'string' && folder !== '', 'folder', 'the path of a folder', folder);
  await saveCheckpoint(folder, checkpointOf(model));
}
