import type { LoadedTextModel } from '../checkpoints/checkpoint_folder.ts';
import { encodeTexts } from '../data/encoded_tokens.ts';
import { type Document, readDocuments } from '../data/text.ts';
import { findTexts } from '../data/text_files.ts';
import { sliceTokens, type TokenSource } from '../data/token_source.ts';
import { startToken, type Tokenizer } from '../data/tokenizer.ts';
import { XlstmError } from '../errors.ts';
import { Evaluator } from '../training/evaluate.ts';
import { spreadWindows } from '../training/stream_batches.ts';
import { areTokenFiles, checkTokenizer } from '../training/token_corpus.ts';
import { TokenFile } from '../training/token_file.ts';

/** What a model makes of a text. */
export interface Measured {
  readonly name: string;
  /** Tokens that were predicted, and the bytes of text that they stand for. */
  readonly tokens: number;
  readonly bytes: number;
  /** Of all tokens together. */
  readonly nats: number;
}

/** Tokens of a lane that are read in one call. */
const LENGTH = 256;

/** Side by side the pieces of a text are read faster, but each starts without memory: only long ones are cut. */
const MOST_LANES = 16;
const LEAST_LANE = 4096;

/** UTF-16 units of a text that are encoded at a time. */
const PIECE = 2 ** 24;

/** Measures a model on texts, each by itself, or on token files. */
export class TextMeasurer {
  readonly #model: LoadedTextModel['model'];
  readonly #tokenizer: Tokenizer;
  readonly #most: number | undefined;
  readonly #evaluators = new Map<number, Evaluator>();

  /** @param most Tokens of each text that are measured at most. Default: all. */
  constructor({ model, tokenizer }: LoadedTextModel, most?: number) {
    this.#model = model;
    this.#tokenizer = tokenizer;
    this.#most = most;
  }

  /** Of all texts at paths one after another. Throws as reading them does, and for one of fewer than 2 tokens. */
  async *measure(paths: readonly string[], field?: string): AsyncGenerator<Measured> {
    if (areTokenFiles(paths)) {
      for (const path of paths) yield await this.#tokenFile(path);
      return;
    }
    for await (const parts of wholeTexts(paths, field)) yield await this.#text(parts);
  }

  async #tokenFile(path: string): Promise<Measured> {
    const file = new TokenFile(path);
    try {
      checkTokenizer([file], this.#tokenizer);
      const found = await this.#stream(path, file);
      return { ...found, bytes: this.#bytesOf(this.#windows(file) ?? [file]) };
    } finally {
      file.close();
    }
  }

  async #text(parts: readonly Document[]): Promise<Measured> {
    const stream = encodeTexts(this.#tokenizer, parts);
    const found = await this.#stream(parts[0].name, stream);
    const windows = this.#windows(stream);
    if (windows) return { ...found, bytes: this.#bytesOf(windows) };
    // Without a document token the first token of the text is not predicted. It may end inside a character, where no
    // text tells its bytes, so it counts as an average one: exact where every token is a byte.
    const size = parts.reduce((sum, { text }) => sum + Buffer.byteLength(text), 0);
    const { tokens } = found;
    return {
      ...found,
      bytes: (size * tokens) / (startToken(this.#tokenizer) === undefined ? tokens + 1 : tokens),
    };
  }

  async #stream(name: string, stream: TokenSource): Promise<Omit<Measured, 'bytes'>> {
    if (stream.length < 2) {
      throw new XlstmError('data', `${name}: expected at least 2 tokens of text, found ${stream.length}`);
    }
    const lanes = this.#lanes(stream);
    const documentStart = startToken(this.#tokenizer);
    const evaluator =
      this.#evaluators.get(lanes) ?? new Evaluator(this.#model, { lanes, length: LENGTH, documentStart });
    this.#evaluators.set(lanes, evaluator);
    const { loss, targets } = await evaluator.run(stream, { tokens: this.#most });
    return { name, tokens: targets, nats: loss * targets };
  }

  #lanes({ length }: TokenSource): number {
    const measured = Math.min(length, this.#most ?? length);
    return Math.min(MOST_LANES, Math.max(1, Math.floor(measured / LEAST_LANE)));
  }

  #windows(stream: TokenSource): readonly TokenSource[] | undefined {
    return spreadWindows(stream, this.#most ?? stream.length, this.#lanes(stream));
  }

  /** Bytes of the texts that windows' tokens stand for, but for the first of each, which nothing predicts. */
  #bytesOf(windows: readonly TokenSource[]): number {
    const specials = new Set(this.#tokenizer.specials.values());
    const decoder = this.#tokenizer.decoder();
    let bytes = 0;
    for (const window of windows) {
      for (let start = 1; start < window.length; start += DECODED_TOKENS) {
        const ids = new Int32Array(Math.min(DECODED_TOKENS, window.length - start));
        sliceTokens(window, start).read(0, ids);
        for (const id of ids) if (!specials.has(id)) bytes += Buffer.byteLength(decoder.push(id));
      }
      bytes += Buffer.byteLength(decoder.flush());
    }
    return bytes;
  }
}

/** Tokens that are read at a time. */
const DECODED_TOKENS = 2 ** 16;

/** The texts one after another, each as the parts that it is read in. */
async function* wholeTexts(paths: readonly string[], field?: string): AsyncGenerator<Document[]> {
  let parts: Document[] = [];
  for (const file of await findTexts(paths)) {
    for await (const document of readDocuments(file, PIECE, { field })) {
      if (!document.continues && parts.length > 0) {
        yield parts;
        parts = [];
      }
      parts.push(document);
    }
  }
  if (parts.length > 0) yield parts;
}
