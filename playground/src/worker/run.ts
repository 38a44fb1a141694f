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
  type TensorToWrite,
  TextModel,
  TokenBatches,
  type Tokenizer,
  Trainer,
  type TrainingBatch,
  writeSafetensors,
} from 'xlstm';
import { engine } from './engine.ts';
import { refusal } from './refusal.ts';
import {
  type DataMark,
  newPlan,
  type Plan,
  type Progress,
  readLines,
  readProgress,
  type StepLine,
  WINDOW_ORDERS,
  writeLines,
} from './run_notes.ts';
import { cutText, markOf, type RunText, sourceOf } from './run_text.ts';
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

/** What a run needs of its text. */
interface Reading {
  readonly given: RunText;
  readonly text: string;
  /** What is used of it, in words. */
  readonly used: string;
  readonly mark: DataMark | undefined;
  readonly plan: Plan;
  readonly batches: TokenBatches;
  readonly held: Int32Array;
  readonly trainer: Trainer;
  readonly evaluator: Evaluator;
}

/** Files of a run that say how it goes on. */
const STATE_FILES = ['training.json', 'optimizer.safetensors', 'metrics.jsonl'];
const MOST_PARAMETERS = 20e6;
/** Tokens that a measurement reads. */
const MEASURED = 4096;
const LANES = 4;
const SAMPLE_TOKENS = 200;
const SAMPLE_TIME = 1500;
/** Points of a curve that are remembered: beyond them every other one is left out. */
const MOST_POINTS = 4000;

/** A model that learns a text, or one that was opened and may. */
export class Run {
  readonly model: TextModel;
  readonly tokenizer: Tokenizer;
  learningRate: number;
  readonly #plan: Plan;
  readonly #progress: Progress | undefined;
  /** How a run goes on that was opened, until it has a text. */
  readonly #state: Files;
  #lines: StepLine[];
  #elapsed: number;
  #reading: Reading | undefined;

  private constructor(model: TextModel, plan: Plan, state: Files = new Map()) {
    this.model = model;
    this.tokenizer = model.tokenizer as Tokenizer;
    this.#state = state;
    this.#progress = readProgress(state);
    this.#plan = this.#progress?.options ?? plan;
    this.#lines = readLines(state);
    this.#elapsed = this.#progress?.elapsedSeconds ?? 0;
    this.learningRate = rateOf(this.#plan, this.#lines.at(-1));
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
    return new Run(new TextModel(model, tokenizer), newPlan(batchSize, length, learningRate));
  }

  /** Of a checkpoint's files: of this page, of the command line or of a program. */
  static async open(files: Files): Promise<Run> {
    const model = await loadModel({ files }, { engine: await engine(), kind: 'text' });
    if (!model.tokenizer) {
      model.free();
      throw refusal(
        'This model came without tokenizer.json: it reads numbers, and there is no text for them.',
        'Choose tokenizer.json along with it.',
      );
    }
    try {
      const state = new Map([...files].filter(([name]) => STATE_FILES.includes(name)));
      const run = new Run(model, newPlan(8, 64, 3e-3), state);
      const text = files.get('text.txt');
      const name = run.#progress?.source.name ?? 'text.txt';
      if (text) await run.read({ name, text: new TextDecoder().decode(text) });
      return run;
    } catch (error) {
      model.free();
      throw error;
    }
  }

  /** What is used of which text; undefined where there is no text to learn yet. */
  get used(): string | undefined {
    return this.#reading?.used;
  }

  /** The text that a run that was opened has learnt so far, as training.json names it. */
  get learnt(): Progress['source'] | undefined {
    return this.#progress?.source;
  }

  get steps(): number {
    return this.#reading?.trainer.steps ?? this.#progress?.step ?? 0;
  }

  get losses(): Point[] {
    return this.#lines.map(({ step, loss }) => ({ step, loss }));
  }

  get heldOut(): Point[] {
    return this.#lines.flatMap(({ step, validationLoss: loss }) =>
      loss === undefined ? [] : [{ step, loss }],
    );
  }

  get tokensPerStep(): number {
    const { plan, batches } = this.#needed();
    return plan.order === 'shuffled' ? batches.tokensPerBatch * plan.microBatches : batches.tokensPerBatch;
  }

  /** Takes a text to learn; of a short one batches are made smaller. */
  async read(given: RunText): Promise<void> {
    const cut = cutText(given, this.tokenizer);
    const { train, held, text } = cut;
    const mark = await markOf(cut);
    const before = this.#progress?.data;
    const other = before !== undefined && mark !== undefined && before.sha256 !== mark.sha256;
    const plan = fitted(this.#plan, train.length);
    const { batchSize, length, microBatches, order, seed, optimizer, clipNorm } = plan;
    const { model } = this.model;
    const lanes = order === 'shuffled' ? 1 : microBatches;
    const batches = new TokenBatches(train, { batchSize: batchSize * lanes, length, order, seed });
    const carryState = order !== 'shuffled';
    const trainer = new Trainer(model, { batchSize, length, carryState, seed, optimizer, clipNorm });
    try {
      this.#restore(trainer);
      const { position, windowOrder } = this.#progress ?? {};
      const goesOn = !other && plan === this.#plan && windowOrder === WINDOW_ORDERS[order];
      if (position && goesOn) batches.seek(position);
    } catch (error) {
      trainer.free();
      throw error;
    }
    this.#freeReading();
    const batch = `${microBatches > 1 ? `${microBatches} times ` : ''}${batchSize} × ${length}`;
    this.#reading = {
      ...{ given, text, mark, plan, batches, held, trainer },
      used: `${cut.used}: ${train.length} tokens to learn, ${held.length} held out, in batches of ${batch}${other ? '. It is another text than the run has learnt so far' : ''}`,
      evaluator: new Evaluator(model, { lanes: Math.min(LANES, Math.floor(held.length / 4)), length }),
    };
  }

  /** One step. The rate rises over the first ones. */
  async step(): Promise<Point> {
    const { trainer, plan } = this.#needed();
    const learningRate = this.learningRate * Math.min(1, (trainer.steps + 1) / Math.max(1, plan.warmupSteps));
    const began = performance.now();
    const { loss, gradientNorm } = await trainer.step(this.#nextBatches(), learningRate);
    const seconds = (performance.now() - began) / 1000;
    const step = trainer.steps;
    if (!Number.isFinite(loss)) {
      throw refusal(
        `Training diverged: after step ${step} the loss is no number any more.`,
        'Take up the run that was kept, and go on with a smaller learning rate.',
      );
    }
    this.#elapsed += seconds;
    const tokensPerSecond = this.tokensPerStep / seconds;
    const line = { step, loss, gradientNorm, learningRate, tokensPerSecond, elapsedSeconds: this.#elapsed };
    this.#lines = thinned([...this.#lines, line]);
    return { step, loss };
  }

  /** The loss of the part of the text that is held out; undefined where `signal` ended that. */
  async measure(signal: AbortSignal): Promise<Point | undefined> {
    const { evaluator, held, trainer } = this.#needed();
    let loss: number;
    try {
      ({ loss } = await evaluator.run(held, { tokens: MEASURED, signal }));
    } catch (error) {
      if (signal.aborted) return undefined;
      throw error;
    }
    const last = this.#lines.at(-1);
    if (last?.step === trainer.steps) this.#lines[this.#lines.length - 1] = { ...last, validationLoss: loss };
    return { step: trainer.steps, loss };
  }

  /** A few lines, written from scratch by the model as it is; fewer where that takes long. */
  async sample(temperature: number, signal: AbortSignal): Promise<string> {
    using session = this.model.session();
    let text = beginning(this.#reading?.text ?? '');
    const end = performance.now() + SAMPLE_TIME;
    await session.append(text);
    for await (const piece of session.generate({ maxTokens: SAMPLE_TOKENS, temperature })) {
      text += piece;
      if (signal.aborted || performance.now() > end) break;
    }
    return text;
  }

  /** All that is needed to go on, here or with the command line. */
  async files(): Promise<Files> {
    const files = new Map(await encodeModel(this.model));
    if (!this.#reading) return new Map([...files, ...this.#state]);
    const { given, text, mark, plan, trainer, batches } = this.#reading;
    const tensors = new Map<string, TensorToWrite>();
    for (const [tensor, { shape, values }] of await trainer.save())
      tensors.set(tensor, { shape, data: Float32Array.from(values) });
    const progress: Progress = {
      step: trainer.steps,
      position: batches.position(),
      elapsedSeconds: this.#elapsed,
      windowOrder: WINDOW_ORDERS[plan.order],
      options: {
        ...plan,
        // A run of the page has no end, and its rate stays.
        steps: Math.max(1, trainer.steps, plan.warmupSteps),
        learningRate: this.learningRate,
        finalFraction: 1,
        extension: undefined,
        evaluationTokens: plan.evaluationTokens ?? MEASURED,
      },
      source: sourceOf(given),
      ...(mark && { data: mark }),
    };
    const encoder = new TextEncoder();
    files
      .set('optimizer.safetensors', writeSafetensors(tensors))
      .set('training.json', encoder.encode(`${JSON.stringify(progress, null, 2)}\n`))
      .set('metrics.jsonl', encoder.encode(writeLines(this.#lines)));
    return given.corpus === undefined ? files.set('text.txt', encoder.encode(text)) : files;
  }

  /** Gives its memory back. */
  free(): void {
    this.#freeReading();
    this.model.free();
  }

  /** The micro-batches of the next step. Those of an order that carries states each have lanes of their own. */
  #nextBatches(): TrainingBatch[] {
    const { batches, plan } = this.#needed();
    const { order, microBatches, batchSize: count } = plan;
    if (order === 'shuffled') return Array.from({ length: microBatches }, () => batches.next());
    const position = batches.position();
    batches.skip();
    return Array.from({ length: microBatches }, (_, i) => batches.at(position, { from: i * count, count }));
  }

  /** Moments and, where it is carried and its shape is the same, the recurrent state. */
  #restore(trainer: Trainer): void {
    const file = this.#state.get('optimizer.safetensors');
    if (!file) return;
    const { tensors } = parseSafetensors(file, 'optimizer.safetensors');
    const saved = [...tensors].map(([name, { shape, read }]) => [name, { shape, values: read() }] as const);
    trainer.restore(new Map(saved), 'optimizer.safetensors', this.#progress?.step);
  }

  #freeReading(): void {
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

/** The plan, or one with smaller batches where a text is too short for its own. */
function fitted(plan: Plan, tokens: number): Plan {
  const lanes = plan.order === 'contiguous' ? plan.microBatches : 1;
  if (plan.order !== 'documents' && plan.batchSize * plan.length * lanes < tokens) return plan;
  const length = Math.min(plan.length, tokens - 1);
  const batchSize = Math.max(1, Math.min(plan.batchSize, Math.floor((tokens - 1) / length)));
  return { ...plan, batchSize, length, order: 'shuffled' };
}

/** The rate to go on with: that of the last step, unless it was still rising. */
const rateOf = ({ learningRate, warmupSteps }: Plan, last: StepLine | undefined): number =>
  last?.learningRate && last.step >= warmupSteps ? last.learningRate : learningRate;

const thinned = (lines: StepLine[]): StepLine[] =>
  lines.length > MOST_POINTS
    ? lines.filter(({ validationLoss }, i) => i % 2 === 1 || validationLoss !== undefined)
    : lines;
