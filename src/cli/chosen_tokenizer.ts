import { InvalidArgumentError } from 'commander';
import { MAX_VOCABULARY } from '../data/subword/train_tokenizer.ts';
import type { Document } from '../data/text.ts';
import { ByteTokenizer, DOCUMENT, startToken, type Tokenizer } from '../data/tokenizer.ts';
import { XlstmError } from '../errors.ts';
import { integer } from './parse.ts';
import { openTokenizer } from './read_tokenizer.ts';
import { trainedTokenizer } from './trained_tokenizer.ts';

/** What --tokenizer says: `bytes`, a number of tokens to train, or the path of a tokenizer or of a model. */
export type TokenizerChoice = 'bytes' | { readonly bpe: number } | { readonly path: string };

/** Reads the value of --tokenizer. */
export function tokenizerChoice(text: string): TokenizerChoice {
  if (text === 'bytes') return 'bytes';
  const [, size] = /^bpe:(.*)$/.exec(text) ?? [];
  if (size !== undefined) return { bpe: integer(257, MAX_VOCABULARY)(size) };
  if (text === '' || text === 'bpe') {
    throw new InvalidArgumentError(
      'Expected bytes, bpe:N such as bpe:8000, or the path of a tokenizer.json.',
    );
  }
  return { path: text };
}

/** The tokenizer of a new model; one that is trained is trained on these texts, where there are texts. */
export async function chosenTokenizer(
  choice: TokenizerChoice,
  texts: readonly Document[] | undefined,
  documents: boolean,
): Promise<Tokenizer> {
  const specials = documents ? [DOCUMENT] : [];
  if (choice === 'bytes') return new ByteTokenizer(specials);
  if ('bpe' in choice) {
    if (!texts) {
      throw new XlstmError(
        'usage',
        `--tokenizer bpe:${choice.bpe}: the held-out token files are of a tokenizer that is there already`,
        'Give that one, or hold out texts.',
      );
    }
    const { tokenizer } = await trainedTokenizer(
      texts.map(({ text }) => text),
      choice.bpe,
      specials,
    );
    return tokenizer;
  }
  const tokenizer = await openTokenizer(choice.path);
  if (!documents || startToken(tokenizer) !== undefined) return tokenizer;
  throw new XlstmError(
    'usage',
    `--documents: the tokenizer of ${choice.path} has no token that starts a document`,
    `Leave it out, or train the tokenizer with one: xlstm tokenizer train TEXT --special "${DOCUMENT}"`,
  );
}
