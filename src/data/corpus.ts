import { XlstmError } from '../errors.ts';
import { encodeTexts } from './encoded_tokens.ts';
import { type Corpus, holdOut, mobyDick, readTexts, sotu } from './text.ts';
import type { TokenSource, Tokens } from './token_source.ts';
import type { Tokenizer } from './tokenizer.ts';

/** A corpus as tokens. */
export interface EncodedCorpus {
  /** The tokens to train on, all documents one after another. */
  readonly train: Tokens;
  /** The tokens to measure on. */
  readonly validation: Tokens;
  /** Lets go of files that they are read from. Left out: there are none. */
  readonly close?: () => void;
}

/** What a corpus is held out of, and how much. */
export interface HeldOut {
  /** Paths of texts to measure on; then all of the others are trained on. */
  readonly validation?: readonly string[] | undefined;
  /** The share of the texts, their end, that is held out. Default: 0.1. */
  readonly validationShare?: number | undefined;
  /** The field of JSON lines, or the column of Parquet files, that has the text. Default: text. */
  readonly field?: string | undefined;
}

/** Texts at paths, of which the end is held out, or else the built-in text of that name. */
export async function readCorpus(
  paths: readonly string[] | undefined,
  name: string,
  { validation, validationShare, field }: HeldOut = {},
): Promise<Corpus> {
  if (!validation) return readSplit(paths, name, validationShare, field);
  if (paths?.includes('-') && validation.includes('-')) {
    throw new XlstmError(
      'usage',
      'standard input ("-") can be read once, found it as the text to train on and as the one held out',
    );
  }
  const corpus = await readSplit(paths, name, 0, field);
  return { ...corpus, validation: await readTexts(validation, undefined, field) };
}

async function readSplit(
  paths: readonly string[] | undefined,
  name: string,
  share: number | undefined,
  field: string | undefined,
): Promise<Corpus> {
  if (paths) return holdOut(paths.join(', '), await readTexts(paths, undefined, field), share);
  if (name === 'moby-dick') return mobyDick(share);
  if (name === 'sotu') return sotu(share);
  throw new XlstmError(
    'usage',
    `--corpus: expected moby-dick or sotu, found "${name}"`,
    'For texts of your own use --data.',
  );
}

/** The tokens of texts, in memory. */
export function encodeCorpus(
  tokenizer: Tokenizer,
  corpus: Corpus,
): Readonly<Record<'train' | 'validation', TokenSource>> {
  return {
    train: encodeTexts(tokenizer, corpus.train),
    validation: encodeTexts(tokenizer, corpus.validation),
  };
}
