import type { Command } from 'commander';
import { XlstmError } from '../errors.ts';
import { largeArchitecture } from '../models/large/architecture.ts';
import { xlstmArchitecture } from '../models/xlstm/architecture.ts';
import { quote } from '../quote.ts';

/** What a run computes is decided when it starts: a resumed one takes only what leaves that as it is. */
export function requireNoRunOptions(command: Command): void {
  const texts = ['data', 'validation', 'acceptNewData'];
  const free = new Set([
    'resume',
    'steps',
    ...texts,
    'engine',
    'threads',
    'tensorboard',
    'sample',
    'prompt',
    'json',
    'wait',
    'wire',
  ]);
  const given = givenOptions(command, (name) => !free.has(name));
  if (given === '') return;
  throw new XlstmError(
    'usage',
    `${given}: a run that is resumed keeps the options it was started with`,
    'Leave them out, or start a new run without --resume.',
  );
}

export function requireNoModelOptions(command: Command): void {
  const decided = new Set([
    'architecture',
    'model',
    'slstmAt',
    'blocks',
    'dim',
    'heads',
    'dropout',
    'tieWeights',
  ]);
  const given = givenOptions(command, (name) => decided.has(name));
  if (given === '') return;
  throw new XlstmError(
    'usage',
    `${given}: with --config the file says all of the model`,
    'Leave them out, or change the file.',
  );
}

/** xLSTM Large has mLSTM blocks alone and no dropout. */
export function requireOptionsOf(architecture: string, command: Command): void {
  if (architecture === xlstmArchitecture.name) return;
  if (architecture !== largeArchitecture.name) {
    throw new XlstmError(
      'usage',
      `--architecture: expected ${xlstmArchitecture.name} or ${largeArchitecture.name}, found ${quote(architecture)}`,
      'For another one: --config FILE, whose key "architecture" names it.',
    );
  }
  const without = new Set(['model', 'slstmAt', 'dropout']);
  const given = givenOptions(command, (name) => without.has(name));
  if (given === '') return;
  throw new XlstmError('usage', `${given}: ${architecture} has no such choice`, 'Leave them out.');
}

/** Those of some options that the command line has, as it spells them. */
const givenOptions = (command: Command, those: (name: string) => boolean): string =>
  command.options
    .filter((option) => those(option.attributeName()))
    .filter((option) => command.getOptionValueSource(option.attributeName()) === 'cli')
    .map(({ long }) => long)
    .join(', ');
