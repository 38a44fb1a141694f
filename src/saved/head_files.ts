import { checkOption } from '../checks.ts';
import { XlstmError } from '../errors.ts';
import type { Forecaster } from '../forecasting/forecaster.ts';
import { headFiles, readHead } from '../forecasting/heads/head_files.ts';
import { SeriesClassifier, type SeriesHead, SeriesRegressor } from '../forecasting/heads/series_head.ts';
import { givenFiles, type NamedFiles } from './given_files.ts';

/** Where a head lies: in Node a folder, everywhere its files. */
export type HeadSource =
  | string
  | {
      /** Their contents by name. */
      readonly files: NamedFiles;
    };

/** The files of a head by name, head.json and head.safetensors; `loadHead(forecaster, { files })` makes a head of them. */
export async function encodeHead(head: SeriesHead): Promise<Map<string, Uint8Array>> {
  const right = head instanceof SeriesClassifier || head instanceof SeriesRegressor;
  checkOption(right, 'head', 'one of trainClassifier or trainRegressor', head);
  return headFiles(head);
}

/**
 * A head of its files, or in Node of the folder of `saveHead`, over the model that it was trained with. Throws a checkpoint error that names the
 * file for what is missing or damaged, and for the head of another model.
 */
export async function loadHead(
  forecaster: Forecaster,
  source: HeadSource,
): Promise<SeriesClassifier | SeriesRegressor> {
  if (typeof source === 'object' && source !== null && 'files' in source)
    return readHead(forecaster, givenFiles(source.files));
  throw new XlstmError(
    'usage',
    'loadHead: expected { files }; folders are read in Node, where the package "xlstm" resolves under the condition "node"',
  );
}

/**
 * Writes a head into a folder, that of its model or another one, as a whole. Other files in it stay. In Node alone: browsers have no
 * folders, and there this throws.
 */
export async function saveHead(_head: SeriesHead, _folder: string): Promise<void> {
  throw new XlstmError(
    'usage',
    'saveHead: there are no folders here',
    'encodeHead(head) gives the files, for a download or IndexedDB. In Node the package "xlstm" resolves under the condition "node".',
  );
}
