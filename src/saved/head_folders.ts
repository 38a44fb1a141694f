import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { CONFIGS } from '../checkpoints/model_files.ts';
import { writeFolder } from '../checkpoints/new_folder.ts';
import { readFolder } from '../checkpoints/read_folder.ts';
import { checkOption } from '../checks.ts';
import { XlstmError } from '../errors.ts';
import type { Forecaster } from '../forecasting/forecaster.ts';
import { HEAD_FILES, HEAD_JSON, readHead } from '../forecasting/heads/head_files.ts';
import type { SeriesClassifier, SeriesHead, SeriesRegressor } from '../forecasting/heads/series_head.ts';
import { encodeHead, type HeadSource, loadHead as loadGivenHead } from './head_files.ts';

/** As `loadHead` of head_files.ts, and from folders. */
export async function loadHead(
  forecaster: Forecaster,
  source: HeadSource,
): Promise<SeriesClassifier | SeriesRegressor> {
  if (typeof source !== 'string') return loadGivenHead(forecaster, source);
  const head = await readFolder(
    source,
    () => HEAD_FILES,
    async (files) => (files.names.includes(HEAD_JSON) ? readHead(forecaster, files) : undefined),
  );
  if (head) return head;
  throw new XlstmError(
    'checkpoint',
    `${source}: expected a head (${HEAD_FILES.join(', ')}), found none`,
    'trainClassifier and trainRegressor make heads, saveHead writes them.',
  );
}

/** What `saveHead` of head_files.ts says. */
export async function saveHead(head: SeriesHead, folder: string): Promise<void> {
  checkOption(typeof folder === 'string' && folder !== '', 'folder', 'the path of a folder', folder);
  const files = await encodeHead(head);
  // Beside the files of a model it is where it belongs; a folder of anything else is not ours.
  const ours = [...CONFIGS, HEAD_JSON].some((name) => existsSync(join(folder, name)));
  await writeFolder(folder, files, { ours });
}
