import { createHash } from 'node:crypto';
import { join } from 'node:path';
import * as v from 'valibot';
import { makeFolder, writeFileAtomic } from '../../checkpoints/files.ts';
import { readJsonFile } from '../../checkpoints/json_file.ts';
import { readCorpus } from '../../data/corpus.ts';
import { trainTokenizer } from '../../data/subword/train_tokenizer.ts';
import type { Document } from '../../data/text.ts';
import { tokenizerFiles } from '../../data/tokenizer_files.ts';
import { XlstmError } from '../../errors.ts';
import { quote } from '../../quote.ts';
import { TokenFile } from '../../training/token_file.ts';
import { writeTokenFile } from '../../training/write_token_file.ts';

const count = v.pipe(v.number(), v.safeInteger(), v.minValue(0));
const schema = v.object({
  name: v.string(),
  vocabSize: count,
  tokens: count,
  bytes: count,
  heldOutTokens: count,
  heldOutBytes: count,
  digest: v.string(),
});

/** What a prepared corpus says of itself. */
export type CorpusFacts = v.InferOutput<typeof schema>;

const TRAIN = 'train.tokens';
const HELD_OUT = 'held_out.tokens';
const FACTS = 'corpus.json';

/** The folder of a study's texts as tokens, and of the tokenizer. */
export const corpusFolder = (study: string): string => join(study, 'corpus');

/** The texts of a study as tokens. To be closed at the end. */
export interface StudyCorpus {
  readonly facts: CorpusFacts;
  readonly train: TokenFile;
  readonly heldOut: TokenFile;
  readonly close: () => void;
}

/** Opens what `prepareCorpus` made. */
export async function openCorpus(folder: string): Promise<StudyCorpus> {
  const facts = await readFacts(folder);
  if (!facts)
    throw new XlstmError('data', `${join(folder, FACTS)}: expected the facts of a corpus, found no file`);
  const train = new TokenFile(join(folder, TRAIN));
  const heldOut = new TokenFile(join(folder, HELD_OUT));
  return {
    facts,
    train,
    heldOut,
    close() {
      train.close();
      heldOut.close();
    },
  };
}

async function readFacts(folder: string): Promise<CorpusFacts | undefined> {
  const path = join(folder, FACTS);
  const json = await readJsonFile(path, 'data');
  if (json === undefined) return undefined;
  const facts = v.safeParse(schema, json);
  if (facts.success) return facts.output;
  throw new XlstmError(
    'data',
    `${path}: expected the facts of a corpus, found ${quote(json)}`,
    'Choose another folder with --out.',
  );
}

const bytesOf = (documents: readonly Document[]): number =>
  documents.reduce((sum, { text }) => sum + Buffer.byteLength(text), 0);

/**
 * Trains a tokenizer on the texts to train on and writes them, and those held out, as its tokens: once, so that all cells
 * read the same. What is there already stays.
 *
 * @param data Paths of texts; absent: the State of the Union addresses.
 */
export async function prepareCorpus(
  folder: string,
  data: readonly string[] | undefined,
  vocabSize: number,
): Promise<CorpusFacts> {
  const before = await readFacts(folder);
  if (before) return before;
  await makeFolder(folder);
  const corpus = await readCorpus(data, 'sotu');
  const { tokenizer } = await trainTokenizer(
    corpus.train.map(({ text }) => text),
    { vocabSize },
  );
  for (const [name, content] of tokenizerFiles(tokenizer)) {
    await writeFileAtomic(join(folder, name), `${JSON.stringify(content)}\n`);
  }
  const train = await writeTokenFile(join(folder, TRAIN), tokenizer, documents(corpus.train));
  const heldOut = await writeTokenFile(join(folder, HELD_OUT), tokenizer, documents(corpus.validation));
  const facts: CorpusFacts = {
    name: corpus.name,
    vocabSize: tokenizer.vocabSize,
    tokens: train.tokens,
    bytes: bytesOf(corpus.train),
    heldOutTokens: heldOut.tokens,
    heldOutBytes: bytesOf(corpus.validation),
    digest: createHash('sha256').update(train.sha256).update(heldOut.sha256).digest('hex').slice(0, 16),
  };
  await writeFileAtomic(join(folder, FACTS), `${JSON.stringify(facts, null, 2)}\n`);
  return facts;
}

async function* documents(texts: readonly Document[]): AsyncGenerator<Document> {
  yield* texts;
}
