import type { Engine } from '../compute/engines/engine.ts';
import { type Collective, gatherTexts } from '../distributed/collective.ts';
import { XlstmError } from '../errors.ts';

/** What has to be the same on every rank, by what people call it. */
export type Facts = Readonly<Record<string, string>>;

const HINTS: Readonly<Record<string, string>> = {
  'version of xlstm': 'Install the same version on every machine.',
  engine:
    'Choose one that all machines have: --engine wasm, or --engine native where their processors are alike.',
  weights: 'Every rank has to read the same files: put them into a folder that all machines share.',
  text: 'Every rank has to read the same files: put them into a folder that all machines share.',
  'set of examples': 'Give every rank the same examples in the same order.',
};

/** What an engine is, but for its threads: results do not depend on these. */
export const engineFact = ({ description }: Engine): string => description.replace(/, \d+ threads?.*/, '');

/** Rejects on every rank, with the same message, where ranks differ from rank 0 in a fact. */
export async function requireAgreement(collective: Collective, facts: () => Promise<Facts>): Promise<void> {
  if (collective.size === 1) return;
  const [first, ...others] = (await gatherTexts(collective, JSON.stringify(await facts()))).map(
    (text): Facts => JSON.parse(text),
  );
  for (const [i, theirs] of others.entries()) {
    const name = Object.keys(first).find((key) => first[key] !== theirs[key]);
    if (name === undefined) continue;
    throw new XlstmError(
      'data',
      `rank ${i + 1} has another ${name} than rank 0: expected ${first[name]}, found ${theirs[name]}`,
      HINTS[name] ?? 'Start all ranks with the same command line and the same options.',
    );
  }
}
