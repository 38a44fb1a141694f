import { type Command, Option } from 'commander';
import {
  type CheckpointOptions,
  type LoadedTextModel,
  loadAdapter,
  loadTextModel,
} from '../checkpoints/checkpoint_folder.ts';
import type { Engine } from '../compute/engines/engine.ts';
import { type Precision, precisions } from '../compute/graph/plan.ts';
import { path } from './parse.ts';

/** How a command reads a model that it uses. */
export interface LoadingOptions {
  readonly adapter?: string;
  readonly precision: Precision;
}

export const precisionOption = (): Option =>
  new Option(
    '--precision <type>',
    'of the products of a model with float32 weights; bf16 is faster, where the processor has it',
  )
    .choices(precisions)
    .default('f32');

/** Adds the options by which a command reads a model of text. */
export const addLoadingOptions = (command: Command): Command =>
  command
    .addOption(
      new Option(
        '--adapter <folder>',
        'an adapter over the model: its folder, or the run that trained it',
      ).argParser(path),
    )
    .addOption(precisionOption());

export const checkpointOptions = async ({
  adapter,
  precision,
}: LoadingOptions): Promise<CheckpointOptions> => ({
  precision,
  adapter: adapter === undefined ? undefined : await loadAdapter(adapter),
});

/** The model of a command with these options. */
export const loadTextModelBy = async (
  engine: Engine,
  place: string,
  options: LoadingOptions,
): Promise<LoadedTextModel> => loadTextModel(engine, place, await checkpointOptions(options));
