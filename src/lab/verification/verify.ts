import type { Engine } from '../../compute/engines/engine.ts';
import { XlstmError } from '../../errors.ts';
import { quote } from '../../quote.ts';
import type { Row } from './compare.ts';
import { GoldenFile } from './golden.ts';
import { verifyLanguageModel } from './language_model.ts';
import { verifyLargeModel } from './large_model.ts';
import { verifyMlstmCell } from './mlstm_cell.ts';
import { verifySlstmCell } from './slstm_cell.ts';
import { verifyTirex } from './tirex.ts';
import { verifyTirex2 } from './tirex2.ts';

export type { Row } from './compare.ts';

const kinds: Readonly<Record<string, (engine: Engine, file: GoldenFile) => Promise<Row[]>>> = {
  mlstm_cell: verifyMlstmCell,
  slstm_cell: verifySlstmCell,
  xlstm_lm: verifyLanguageModel,
  xlstm_large: verifyLargeModel,
  tirex1: verifyTirex,
  tirex2: verifyTirex2,
};

/** How far an engine is from the golden vectors of a file. */
export interface Verification {
  /** The file that was read. */
  readonly source: string;
  /** What the file is about: one of `kinds`. */
  readonly kind: string;
  /** One for each expected tensor. */
  readonly rows: readonly Row[];
}

/**
 * Compares an engine with golden vectors: what it computes from the inputs in a file with the results in that file.
 * A path is a file or a folder with expected.safetensors. Throws a data error for a file that cannot be read or is of
 * another kind, a checkpoint error for one that is damaged; errors beyond tolerance are rows, and throw nothing.
 */
export async function verifyFile(engine: Engine, path: string): Promise<Verification> {
  return verifyGolden(engine, await GoldenFile.read(path));
}

export async function verifyGolden(engine: Engine, file: GoldenFile): Promise<Verification> {
  const { kind, source } = file;
  if (!Object.hasOwn(kinds, kind)) {
    throw new XlstmError(
      'data',
      `${source}: golden vectors of kind ${quote(kind)} are not supported`,
      `This version verifies the kinds ${Object.keys(kinds).join(', ')}.`,
    );
  }
  return { source, kind, rows: await kinds[kind](engine, file) };
}
