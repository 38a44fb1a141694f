import { createHash, type Hash } from 'node:crypto';
import { isAbsolute, join, resolve } from 'node:path';
import * as v from 'valibot';
import type { EncodedCorpus } from '../data/corpus.ts';
import { type TokenSource, type Tokens, tokenSource } from '../data/token_source.ts';
import type { Tokenizer } from '../data/tokenizer.ts';
import { XlstmError } from '../errors.ts';
import { type RunSources, readTokens } from './token_corpus.ts';

/** What tells the data of a run from other data: how many tokens there are, and the digest of their order. */
export interface DataMark {
  readonly tokens: number;
  readonly sha256: string;
}

export function markOf({ train, validation }: EncodedCorpus): DataMark {
  const hash = createHash('sha256');
  // The place of the cut belongs to the data: it decides which text is held out.
  for (const part of [Int32Array.of(train.length), train, validation]) addTokens(hash, part);
  return { tokens: train.length + validation.length, sha256: hash.digest('hex') };
}

/** What stands for the tokens where there is such, else they themselves, as int32. */
function addTokens(hash: Hash, tokens: Tokens): void {
  const source: TokenSource = tokenSource(tokens);
  if (source.identity !== undefined) {
    hash.update(source.identity);
    return;
  }
  for (let start = 0; start < source.length; start += HASHED_TOKENS) {
    const piece = new Int32Array(Math.min(HASHED_TOKENS, source.length - start));
    source.read(start, piece);
    hash.update(piece);
  }
}

/** Tokens that are read at a time. */
const HASHED_TOKENS = 2 ** 20;

/** Where a run's texts come from: paths, absolute, or the name of a built-in text; and what of them is held out. */
export interface DataSource extends RunSources {
  readonly data: readonly string[] | null;
  readonly corpus: string;
}

/** The source as it is kept with a run, which may go on from another working folder. */
export function dataSource(
  paths: readonly string[] | undefined,
  corpus: string,
  { validation, validationShare, field, weights }: RunSources = {},
): DataSource {
  const heldOut = validation ? { validation: absolute(validation) } : { validationShare };
  return { data: paths ? absolute(paths) : null, corpus, ...heldOut, field, weights };
}

const absolute = (paths: readonly string[]): string[] =>
  paths.map((path) => (path === '-' ? path : resolve(path)));

/** The texts that a run goes on with. */
export interface ResumeData {
  /** Where the texts are now, if not where the run read them. */
  readonly data?: readonly string[] | undefined;
  /** Where the held-out texts are now, of a run that was given some. */
  readonly validation?: readonly string[] | undefined;
  /** Goes on although they are other texts than before. */
  readonly acceptNewData?: boolean | undefined;
}

/** Reads the texts that a run goes on with; throws if they are others than it was started with. */
export async function readRunData(
  tokenizer: Tokenizer,
  folder: string,
  kept: { readonly source: Readonly<Record<string, unknown>>; readonly data?: DataMark },
  { data, validation, acceptNewData }: ResumeData,
): Promise<EncodedCorpus & { readonly source: DataSource; readonly note?: string }> {
  const source = sourceNow(kept.source, folder, data, validation);
  const texts = await readTokens(tokenizer, source.data ?? undefined, source.corpus, source);
  const found = markOf(texts);
  if (!kept.data) {
    return {
      ...texts,
      source,
      note: 'whether the texts are those of before is not known: the checkpoint does not say',
    };
  }
  if (found.sha256 === kept.data.sha256) return { ...texts, source };
  const difference =
    found.tokens === kept.data.tokens
      ? `${found.tokens} tokens as before, but others`
      : `${found.tokens} tokens, the run was started with ${kept.data.tokens}`;
  if (acceptNewData) return { ...texts, source, note: `the texts are new: ${difference}` };
  texts.close?.();
  throw new XlstmError(
    'data',
    `${source.data?.join(', ') ?? source.corpus}: not the texts of this run: ${difference}`,
    `Give the same texts with --data PATH, or go on with these: xlstm train --resume ${folder} --data PATH --accept-new-data`,
  );
}

/** The source that was kept, with what lies elsewhere by now in its place. */
function sourceNow(
  kept: Readonly<Record<string, unknown>>,
  folder: string,
  data: ResumeData['data'],
  validation: ResumeData['validation'],
): DataSource {
  const { success, output: before } = v.safeParse(sourceSchema, data ? { ...kept, data, corpus: '' } : kept);
  if (!success) {
    throw new XlstmError(
      'data',
      `${folder}: its checkpoint does not say where its texts are`,
      'Give them with --data PATH.',
    );
  }
  if (validation && !before.validation) {
    throw new XlstmError(
      'usage',
      `--validation: ${folder} holds out a part of its own texts, and goes on so`,
      'Leave it out, or start a new run without --resume.',
    );
  }
  for (const [option, given, gone] of [
    ['data', data, before.data],
    ['validation', validation, before.validation],
  ] as const) {
    if (given || !gone?.includes('-')) continue;
    throw new XlstmError(
      'data',
      `${folder}: the run read ${option === 'data' ? 'its' : 'the held-out'} text from standard input, which is gone`,
      `Give it again: xlstm train --resume ${folder} --${option} PATH, or --${option} - and the same text`,
    );
  }
  const { validationShare, field, weights } = before;
  // Of a run that came with its text, such as those of a page.
  const beside = (paths: readonly string[] | undefined): readonly string[] | undefined =>
    paths?.map((path) => (path === '-' || isAbsolute(path) ? path : join(folder, path)));
  return dataSource(data ?? beside(before.data ?? undefined), before.corpus, {
    validation: validation ?? beside(before.validation),
    validationShare,
    field,
    weights,
  });
}

const paths = v.array(v.string());
const sourceSchema = v.object({
  data: v.nullish(paths),
  corpus: v.string(),
  validation: v.optional(paths),
  validationShare: v.optional(v.pipe(v.number(), v.minValue(0), v.ltValue(1))),
  field: v.optional(v.string()),
  weights: v.optional(v.array(v.pipe(v.number(), v.finite(), v.gtValue(0)))),
});
