import type { Engine } from '../engine/engine.ts';
import { XlstmError } from '../errors.ts';
import type { Row } from './compare.ts';
import { GoldenFile } from './golden.ts';
import { verifyLanguageModel } from './language_model.ts';
import { verifyMlstmCell } from './mlstm_cell.ts';
import { verifySlstmCell } from './slstm_cell.ts';

export type { Row } from './compare.ts';

const kinds: Readonly<Record<string, (engine: Engine, file: GoldenFile) => Promise<Row[]>>> = {
  mlstm_cell: verifyMlstmCell,
  slstm_cell: verifySlstmCell,
  xlstm_lm: verifyLanguageModel,
};

export interface Verification {
  /** The file that was read. */
  readonly source: string;
  readonly kind: string;
  readonly rows: readonly Row[];
}

/**
 * Compares an engine with golden vectors: what it computes from the inputs in a file with the results in that file.
 * A path is a file or a folder with expected.safetensors.
 */
export async function verifyFile(engine: Engine, path: string): Promise<Verification> {
  return verifyGolden(engine, await GoldenFile.read(path));
}

export async function verifyGolden(engine: Engine, file: GoldenFile): Promise<Verification> {
  const { kind, source } = file;
  if (!Object.hasOwn(kinds, kind)) {
    throw new XlstmError(
      'data',
      `${source}: golden vectors of kind "${kind}" are not supported`,
      `This version verifies the kinds ${Object.keys(kinds).join(', ')}.`,
    );
  }
  return { source, kind, rows: await kinds[kind](engine, file) };
}
