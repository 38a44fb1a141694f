import { type EncodedCorpus, encodeCorpus, type HeldOut, readCorpus } from '../data/corpus.ts';
import { documentFrom, documentOffset } from '../data/document_index.ts';
import { encodeTexts } from '../data/encoded_tokens.ts';
import { readTexts } from '../data/text.ts';
import { joinTokens, sliceTokens, type TokenSource, tokenSource, weighTokens } from '../data/token_source.ts';
import type { Tokenizer } from '../data/tokenizer.ts';
import { XlstmError } from '../errors.ts';
import { describeForTokens, isTokenFile, TokenFile } from './token_file.ts';

/** Whether the paths are those of token files. Throws a usage error where some are and some are not. */
export function areTokenFiles(paths: readonly string[] | undefined): paths is readonly string[] {
  const files = (paths ?? []).filter((path) => path !== '-' && isTokenFile(path));
  if (files.length === 0) return false;
  const other = paths?.find((path) => !files.includes(path));
  if (other === undefined) return true;
  throw new XlstmError(
    'usage',
    `expected token files alone, or texts alone, found the token file ${files[0]} and ${other}`,
    `Make tokens of the texts: xlstm tokenize ${other} --out FILE`,
  );
}

/** The tokenizer of token files; undefined where the paths are those of texts. */
export async function tokenizerOfFiles(paths: readonly string[] | undefined): Promise<Tokenizer | undefined> {
  if (!areTokenFiles(paths)) return undefined;
  const file = new TokenFile(paths[0]);
  try {
    return await file.tokenizer();
  } finally {
    file.close();
  }
}

/** What a run reads: paths, what of them is held out, and how much of each is trained on. */
export interface RunSources extends HeldOut {
  /**
   * For each path the share of its tokens among those that are trained on; only their ratios count. An epoch then has each
   * at least once, some several times. Default: each once.
   */
  readonly weights?: readonly number[] | undefined;
}

/**
 * The tokens of texts or of token files, and those of them that are held out: with weights the end of each. Throws a data
 * error for token files of another tokenizer, a usage error for weights that do not fit, and what reading texts throws.
 *
 * @param name Of the built-in text where there are no paths.
 */
export async function readTokens(
  tokenizer: Tokenizer,
  paths: readonly string[] | undefined,
  name: string,
  { weights, ...heldOut }: RunSources,
): Promise<EncodedCorpus> {
  if (!weights) return readParts(tokenizer, paths, name, heldOut);
  checkWeights(weights, paths);
  const { validation, field } = heldOut;
  const share = validation ? 0 : heldOut.validationShare;
  const found: EncodedCorpus[] = [];
  const close = (): void => {
    for (const part of found) part.close?.();
  };
  try {
    for (const path of paths ?? []) {
      found.push(await readParts(tokenizer, [path], name, { validationShare: share, field }));
    }
    const train = weighTokens(
      found.map((part) => tokenSource(part.train)),
      weights,
    );
    const held = validation
      ? [await readParts(tokenizer, validation, name, { validationShare: 0, field })]
      : found;
    if (validation) found.push(...held);
    const measured = held.map((part) => tokenSource(validation ? part.train : part.validation));
    return { train, validation: joinTokens(measured), close };
  } catch (error) {
    close();
    throw error;
  }
}

function checkWeights(weights: readonly number[], paths: readonly string[] | undefined): void {
  if (paths?.length === weights.length) return;
  throw new XlstmError(
    'usage',
    `--weights: expected one for each path of --data, ${paths?.length ?? 0}, found ${weights.length}`,
  );
}

async function readParts(
  tokenizer: Tokenizer,
  paths: readonly string[] | undefined,
  name: string,
  heldOut: HeldOut,
): Promise<EncodedCorpus> {
  const { validation, validationShare = HELD_OUT, field } = heldOut;
  if (!areTokenFiles(paths) && !areTokenFiles(validation)) {
    return encodeCorpus(tokenizer, await readCorpus(paths, name, heldOut));
  }
  const open: TokenFile[] = [];
  const close = (): void => {
    for (const file of open) file.close();
  };
  const openAll = (files: readonly string[]): readonly TokenFile[] => {
    const opened = files.map((path) => {
      const file = new TokenFile(path);
      open.push(file);
      return file;
    });
    checkTokenizer(opened, tokenizer);
    return opened;
  };
  const read = async (part: readonly string[]): Promise<TokenSource> =>
    areTokenFiles(part)
      ? joinTokens(openAll(part))
      : encodeTexts(tokenizer, await readTexts(part, undefined, field));
  try {
    if (validation) {
      const train = paths
        ? await read(paths)
        : encodeTexts(tokenizer, (await readCorpus(paths, name, { validationShare: 0 })).train);
      return { train, validation: await read(validation), close };
    }
    const files = openAll(paths as readonly string[]);
    const all = joinTokens(files);
    const cut = cutOf(files, all.length, validationShare);
    return { train: sliceTokens(all, 0, cut), validation: sliceTokens(all, cut), close };
  } catch (error) {
    close();
    throw error;
  }
}

/** The share of tokens that is held out where nothing else is asked for. */
const HELD_OUT = 0.1;

/** Where the part begins that is held out: with a document, if one begins in its first half. */
function cutOf(files: readonly TokenFile[], length: number, share: number): number {
  const cut = length - Math.floor(length * share);
  let before = 0;
  for (const file of files) {
    const document = documentFrom(file.documents, cut - before);
    if (document < file.documents.count) {
      const start = before + documentOffset(file.documents, document);
      return start < cut + (length - cut) / 2 ? start : cut;
    }
    before += file.length;
  }
  return cut;
}

/** Throws a data error unless the tokens of all files are those of the tokenizer. */
export function checkTokenizer(files: readonly TokenFile[], tokenizer: Tokenizer): void {
  const { fingerprint } = describeForTokens(tokenizer);
  for (const { path, facts } of files) {
    if (facts.tokenizer.fingerprint === fingerprint) continue;
    throw new XlstmError(
      'data',
      `${path}: its tokens are of another tokenizer: one of ${facts.vocabSize} tokens with the digest ${facts.tokenizer.fingerprint.slice(0, 12)}, expected that of the model, ${tokenizer.vocabSize} tokens, ${fingerprint.slice(0, 12)}`,
      `Make the tokens with the model's: xlstm tokenize TEXTS --tokenizer MODEL --out FILE`,
    );
  }
}
