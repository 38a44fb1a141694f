import {
  ByteTokenizer,
  createModel,
  Evaluator,
  encodeModel,
  inspect,
  type LanguageModelOptions,
  languageModelConfig,
  loadModel,
  parseSafetensors,
  readDesign,
  type SafetensorsFile,
  type TensorToWrite,
  TextModel,
  TokenBatches,
  type Tokenizer,
  Trainer,
  writeSafetensors,
} from 'xlstm';
import { engine } from './engine.ts';
import { refusal } from './refusal.ts';
import type { Files } from './store.ts';

/** What a person chooses of a new run. */
export interface RunOptions {
  /** A letter for each block: m or s. */
  readonly blocks: string;
  readonly dim: number;
  readonly heads: number;
  readonly length: number;
  readonly batchSize: number;
}

/** A number of a step. */
export interface Point {
  readonly step: number;
  readonly loss: number;
}

/** What a run remembers of itself beside the library's files. */
interface Notes {
  readonly text: string;
  readonly length: number;
  readonly batchSize: number;
  readonly learningRate: number;
  readonly losses: readonly Point[];
  readonly heldOut: readonly Point[];
}

/** What a run needs of its text. */
interface Reading {
  readonly name: string;
  readonly text: string;
  /** What is used of it, in words. */
  readonly used: string;
  readonly batches: TokenBatches;
  readonly heldOut: Int32Array;
  readonly trainer: Trainer;
  readonly evaluator: Evaluator;
}

const MOST_PARAMETERS = 20e6;
const MOST_BYTES = 1e9;
const MOST_CHARACTERS = 16e6;
const LEAST_TOKENS = 200;
/** Tokens that a measurement reads. */
const MEASURED = 4096;
const LANES = 4;
const SAMPLE_TOKENS = 200;
const SAMPLE_TIME = 1500;
const WARM_UP = 20;
/** Points of a curve that are remembered: beyond them every other one is left out. */
const MOST_POINTS = 4000;

/** A model that learns a text, or one that was opened and may. */
export class Run {
  readonly model: TextModel;
  readonly tokenizer: Tokenizer;
  readonly #length: number;
  readonly #batchSize: number;
  learningRate: number;
  losses: Point[] = [];
  heldOut: Point[] = [];
  #reading: Reading | undefined;
  #moments: SafetensorsFile | undefined;

  private constructor(model: TextModel, notes: Partial<Notes>) {
    this.model = model;
    this.tokenizer = model.tokenizer as Tokenizer;
    this.#length = notes.length ?? 64;
    this.#batchSize = notes.batchSize ?? 8;
    this.learningRate = notes.learningRate ?? 3e-3;
    this.losses = [...(notes.losses ?? [])];
    this.heldOut = [...(notes.heldOut ?? [])];
  }

  static async begin(
    { blocks, dim, heads, length, batchSize }: RunOptions,
    learningRate: number,
  ): Promise<Run> {
    const tokenizer = new ByteTokenizer();
    const options: LanguageModelOptions = {
      ...{ vocabSize: tokenizer.vocabSize, embeddingDim: dim, numBlocks: blocks.length, numHeads: heads },
      slstmAt: [...blocks].flatMap((kind, i) => (kind === 's' ? [i] : [])),
      contextLength: length,
    };
    const config = languageModelConfig(options);
    const { parameters } = inspect(readDesign(config, 'the model'));
    if (parameters > MOST_PARAMETERS) {
      throw refusal(
        `This model would have ${(parameters / 1e6).toFixed(0)} million parameters: the page trains up to ${MOST_PARAMETERS / 1e6} million.`,
        'Take fewer blocks or a smaller width; the command line trains larger ones.',
      );
    }
    const seed = crypto.getRandomValues(new Uint16Array(1))[0] + 1;
    const model = createModel(await engine(), config, { seed });
    return new Run(new TextModel(model, tokenizer), { length, batchSize, learningRate });
  }

  /** Of a checkpoint's files: of this page, of the command line or of a program. */
  static async open(files: Files): Promise<Run> {
    const size = [...files.values()].reduce((sum, { length }) => sum + length, 0);
    if (size > MOST_BYTES) {
      throw refusal(
        `These files have ${(size / 1e6).toFixed(0)} MB: the page opens models up to ${MOST_BYTES / 1e6} MB.`,
        'xlstm quantize makes them smaller.',
      );
    }
    const model = await loadModel({ files }, { engine: await engine(), kind: 'text' });
    if (!model.tokenizer) {
      model.free();
      throw refusal(
        'This model came without tokenizer.json: it reads numbers, and there is no text for them.',
        'Choose tokenizer.json along with it.',
      );
    }
    const notes = files.get('page.json');
    const run = new Run(model, notes ? JSON.parse(new TextDecoder().decode(notes)) : {});
    const moments = files.get('optimizer.safetensors');
    if (moments) run.#moments = parseSafetensors(moments, 'optimizer.safetensors');
    const text = files.get('text.txt');
    if (text)
      run.read((JSON.parse(new TextDecoder().decode(notes)) as Notes).text, new TextDecoder().decode(text));
    return run;
  }

  /** Undefined where there is no text to learn yet. */
  get text(): Pick<Reading, 'name' | 'used'> | undefined {
    return this.#reading;
  }

  get steps(): number {
    return this.#reading?.trainer.steps ?? this.losses.at(-1)?.step ?? 0;
  }

  get tokensPerStep(): number {
    return this.#reading?.batches.tokensPerBatch ?? 0;
  }

  /** Takes a text to learn; of a short one batches are made smaller. */
  read(name: string, whole: string): void {
    const text = whole.slice(0, MOST_CHARACTERS);
    const tokens = this.tokenizer.encode(text);
    if (tokens.length < LEAST_TOKENS) {
      throw refusal(
        `${name}: expected at least ${LEAST_TOKENS} tokens to learn from, found ${tokens.length}.`,
        'A page of text is a beginning; a book is better.',
      );
    }
    const held = Math.min(MEASURED, Math.floor(tokens.length / 10));
    const train = tokens.subarray(0, tokens.length - held);
    let [batchSize, length] = [this.#batchSize, this.#length];
    while (batchSize * length + 1 > train.length && batchSize > 1) batchSize--;
    while (batchSize * length + 1 > train.length) length--;
    const { model } = this.model;
    const trainer = new Trainer(model, { batchSize, length });
    if (this.#moments) restoreMoments(trainer, this.#moments);
    this.#moments = undefined;
    this.#free();
    const cut = text.length < whole.length ? `the first ${text.length / 1e6} million characters of ` : '';
    this.#reading = {
      name,
      text,
      used: `${cut}${name}: ${train.length} tokens to learn, ${held} held out, in batches of ${batchSize} × ${length}`,
      batches: new TokenBatches(train, { batchSize, length, order: 'shuffled', seed: 1 }),
      heldOut: tokens.slice(tokens.length - held),
      trainer,
      evaluator: new Evaluator(model, {
        lanes: Math.min(LANES, Math.floor(held / 4)),
        length: Math.min(length, 64),
      }),
    };
  }

  /** One step. The rate rises over the first ones. */
  async step(): Promise<Point> {
    const { trainer, batches } = this.#needed();
    const rate = this.learningRate * Math.min(1, (trainer.steps + 1) / WARM_UP);
    const { loss } = await trainer.step(batches.next(), rate);
    const point = { step: trainer.steps, loss };
    this.losses = thinned([...this.losses, point]);
    return point;
  }

  /** The loss of the held-out end of the text. */
  async measure(): Promise<Point> {
    const { evaluator, heldOut, trainer } = this.#needed();
    const { loss } = await evaluator.run(heldOut);
    const point = { step: trainer.steps, loss };
    this.heldOut = thinned([...this.heldOut, point]);
    return point;
  }

  /** A few lines, written from scratch by the model as it is; fewer where that takes long. */
  async sample(temperature: number): Promise<string> {
    using session = this.model.session();
    let text = beginning(this.#reading?.text ?? '');
    const end = performance.now() + SAMPLE_TIME;
    await session.append(text);
    for await (const piece of session.generate({ maxTokens: SAMPLE_TOKENS, temperature })) {
      text += piece;
      if (performance.now() > end) break;
    }
    return text;
  }

  /** All that is needed to go on: a checkpoint of the library, with the text and the curves beside it. */
  async files(): Promise<Files> {
    const files = new Map(await encodeModel(this.model));
    if (!this.#reading) return files;
    const { name, text, trainer } = this.#reading;
    const moments = new Map<string, TensorToWrite>();
    for (const [tensor, { shape, values }] of await trainer.save())
      moments.set(tensor, { shape, data: Float32Array.from(values) });
    const notes: Notes = {
      ...{ text: name, length: this.#length, batchSize: this.#batchSize, learningRate: this.learningRate },
      ...{ losses: this.losses, heldOut: this.heldOut },
    };
    const encoder = new TextEncoder();
    return files
      .set('optimizer.safetensors', writeSafetensors(moments))
      .set('page.json', encoder.encode(JSON.stringify(notes)))
      .set('text.txt', encoder.encode(text));
  }

  /** Gives its memory back. */
  free(): void {
    this.#free();
    this.model.free();
  }

  #free(): void {
    this.#reading?.trainer.free();
    this.#reading?.evaluator.free();
    this.#reading = undefined;
  }

  #needed(): Reading {
    if (this.#reading) return this.#reading;
    throw refusal('There is no text to learn yet.', 'Choose one: what was opened is a model alone.');
  }
}

/** Two words or three from the middle of a text, the same each time. */
function beginning(text: string): string {
  const middle = text.slice(Math.floor(text.length / 2)).replace(/\s+/g, ' ');
  return /(?<= )\S.{0,11}/.exec(middle)?.[0] ?? 'The ';
}

function restoreMoments(trainer: Trainer, { tensors }: SafetensorsFile): void {
  const saved = [...tensors].map(([name, { shape, read }]) => [name, { shape, values: read() }] as const);
  trainer.restore(new Map(saved), 'optimizer.safetensors');
}

const thinned = (points: Point[]): Point[] =>
  points.length > MOST_POINTS ? points.filter((_, i) => i % 2 === 1) : points;
