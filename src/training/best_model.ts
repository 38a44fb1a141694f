import { join } from 'node:path';
import * as v from 'valibot';
import { CHECKPOINT_FILES, type CheckpointFiles, checkpointFiles } from '../checkpoints/checkpoint.ts';
import { writeCheckpoint } from '../checkpoints/checkpoint_folder.ts';
import { settleFolder } from '../checkpoints/files.ts';
import { readJson } from '../checkpoints/model_files.ts';
import { readFolder } from '../checkpoints/read_folder.ts';
import type { Tokenizer } from '../data/tokenizer.ts';
import { XlstmError } from '../errors.ts';
import type { Model } from '../nn/model.ts';
import type { DataMark } from './run_data.ts';

/** The measurement that a model was the best at. */
export interface BestMeasurement {
  /** Steps that were made by then. */
  readonly step: number;
  /** Nats per token. */
  readonly validationLoss: number;
}

const MEASURED = 'measured.json';

const schema = v.object({
  step: v.pipe(v.number(), v.safeInteger(), v.minValue(1)),
  validationLoss: v.pipe(v.number(), v.finite()),
  data: v.object({ tokens: v.number(), sha256: v.string() }),
});

/**
 * The model of a run that had the least loss on the held-out text, as a folder that `loadModel` opens. `measured.json`
 * beside its files says at which step, how much, and on which texts: on others losses cannot be compared.
 */
export class BestModel {
  /** The folder. */
  readonly path: string;
  readonly #data: DataMark;
  #measured: BestMeasurement | undefined;
  #files: CheckpointFiles | undefined;
  #written = true;

  private constructor(path: string, data: DataMark, measured?: BestMeasurement) {
    this.path = path;
    this.#data = data;
    this.#measured = measured;
  }

  /** Of a new run. */
  static none(path: string, data: DataMark): BestModel {
    return new BestModel(path, data);
  }

  /** What an earlier process kept, and cleared of what it left. For the run's writer alone. */
  static async open(path: string, data: DataMark): Promise<BestModel> {
    await settleFolder(path, [...CHECKPOINT_FILES, MEASURED]);
    const found = await readFolder(
      path,
      () => [MEASURED],
      async (files) =>
        files.names.includes(MEASURED)
          ? parse(await readJson(files, MEASURED), join(path, MEASURED))
          : undefined,
    );
    const same = found && found.data.sha256 === data.sha256;
    return new BestModel(
      path,
      data,
      same ? { step: found.step, validationLoss: found.validationLoss } : undefined,
    );
  }

  /** Undefined while nothing has been measured. */
  get measured(): BestMeasurement | undefined {
    return this.#measured;
  }

  /**
   * Takes the model, if it is better than the one before, to be written.
   *
   * @param measured After which step, and how well it did.
   */
  async offer(model: Model, tokenizer: Tokenizer, { step, validationLoss }: BestMeasurement): Promise<void> {
    if (validationLoss >= (this.#measured?.validationLoss ?? Number.POSITIVE_INFINITY)) return;
    const files = new Map(await checkpointFiles({ model, tokenizer }, this.#files));
    files.set(MEASURED, `${JSON.stringify({ step, validationLoss, data: this.#data }, null, 2)}\n`);
    this.#files = files;
    this.#measured = { step, validationLoss };
    this.#written = false;
  }

  /** Writes what is not written yet; until that has succeeded the one before stays. */
  async write(): Promise<void> {
    if (this.#written || !this.#files) return;
    await writeCheckpoint(this.path, this.#files);
    this.#written = true;
  }
}

function parse(json: unknown, source: string): v.InferOutput<typeof schema> {
  const { success, output } = v.safeParse(schema, json, { abortEarly: true });
  if (success) return output;
  throw new XlstmError(
    'checkpoint',
    `${source}: expected a step, a validationLoss and the data it was measured on; the file is damaged`,
    'Move the folder out of the run: the next measurement makes it anew.',
  );
}
