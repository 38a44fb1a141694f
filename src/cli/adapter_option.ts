import { Option } from 'commander';
import { type LoadedTextModel, loadAdapter, loadTextModel } from '../checkpoints/checkpoint_folder.ts';
import type { Engine } from '../compute/engines/engine.ts';
import { path } from './parse.ts';

/** The adapter that a command puts over the model of text it takes. */
export const adapterOption = (): Option =>
  new Option(
    '--adapter <folder>',
    'an adapter over the model: its folder, or the run that trained it',
  ).argParser(path);

/** The model of a command with that option. */
export async function loadAdapted(
  engine: Engine,
  place: string,
  adapter: string | undefined,
): Promise<LoadedTextModel> {
  return loadTextModel(engine, place, {
    adapter: adapter === undefined ? undefined : await loadAdapter(adapter),
  });
}
