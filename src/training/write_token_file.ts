import { createHash } from 'node:crypto';
import { writeFileAtomic } from '../checkpoints/files.ts';
import type { Document } from '../data/text.ts';
import { startToken, type Tokenizer } from '../data/tokenizer.ts';
import { XlstmError } from '../errors.ts';
import { describeForTokens, END, HEAD, indexOffset, type TokenFileFacts } from './token_file.ts';

/** Bytes that are gathered before they are written. */
const PIECE_BYTES = 2 ** 22;

/** Most ids that 16 bits tell apart. */
const MOST_U16 = 2 ** 16;

/**
 * Writes texts as a token file, as they come: what is held in memory is a piece of them and 8 bytes for each document.
 * The path gets the whole file or stays as it was. Rejects with a data error for fewer than 2 tokens, and as the texts do.
 *
 * @param parts Texts; those that are too long for one in several, of which the later ones have `continues`.
 */
export async function writeTokenFile(
  path: string,
  tokenizer: Tokenizer,
  parts: AsyncIterable<Document>,
): Promise<TokenFileFacts> {
  let facts: TokenFileFacts | undefined;
  await writeFileAtomic(
    path,
    tokenFile(tokenizer, parts, (written) => {
      facts = written;
    }),
  );
  return facts as unknown as TokenFileFacts;
}

async function* tokenFile(
  tokenizer: Tokenizer,
  parts: AsyncIterable<Document>,
  onFacts: (facts: TokenFileFacts) => void,
): AsyncGenerator<Uint8Array> {
  const { vocabSize } = tokenizer;
  const dtype = vocabSize <= MOST_U16 ? 'u16' : 'u32';
  const start = startToken(tokenizer);
  const hash = createHash('sha256');
  const documents = new Offsets();
  let tokens = 0;
  yield HEAD;
  let gathered: Uint8Array[] = [];
  let gatheredBytes = 0;
  const add = (ids: ArrayLike<number>): void => {
    const words = dtype === 'u16' ? Uint16Array.from(ids) : Uint32Array.from(ids);
    const bytes = new Uint8Array(words.buffer);
    hash.update(bytes);
    gathered.push(bytes);
    gatheredBytes += bytes.length;
    tokens += ids.length;
  };
  for await (const { text, continues } of parts) {
    if (!continues) {
      documents.push(tokens);
      if (start !== undefined) add([start]);
    }
    add(tokenizer.encode(text));
    if (gatheredBytes < PIECE_BYTES) continue;
    yield Buffer.concat(gathered);
    [gathered, gatheredBytes] = [[], 0];
  }
  if (tokens < 2) throw new XlstmError('data', `expected texts of at least 2 tokens, found ${tokens}`);
  const tokenBytes = tokens * (dtype === 'u16' ? 2 : 4);
  gathered.push(new Uint8Array(indexOffset(tokenBytes) - HEAD.length - tokenBytes));
  yield Buffer.concat(gathered);
  yield* documents.bytes();
  const facts: TokenFileFacts = {
    tokens,
    documents: documents.length,
    dtype,
    vocabSize,
    sha256: hash.digest('hex'),
    tokenizer: describeForTokens(tokenizer),
  };
  const json = Buffer.from(JSON.stringify(facts));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(json.length));
  yield Buffer.concat([json, createHash('sha256').update(json).digest(), length, END]);
  onFacts(facts);
}

/** Offsets in pieces of 8 bytes each: an array of numbers that grows would be copied again and again. */
class Offsets {
  readonly #blocks: BigUint64Array[] = [];
  length = 0;

  push(offset: number): void {
    const at = this.length % OFFSETS_PER_BLOCK;
    if (at === 0) this.#blocks.push(new BigUint64Array(OFFSETS_PER_BLOCK));
    this.#blocks[this.#blocks.length - 1][at] = BigInt(offset);
    this.length++;
  }

  *bytes(): Generator<Uint8Array> {
    for (const [i, block] of this.#blocks.entries()) {
      const count = Math.min(OFFSETS_PER_BLOCK, this.length - i * OFFSETS_PER_BLOCK);
      yield new Uint8Array(block.buffer, 0, 8 * count);
    }
  }
}

const OFFSETS_PER_BLOCK = 2 ** 17;
