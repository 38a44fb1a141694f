import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import type { GivenAdapter } from '../checkpoints/adapter_files.ts';
import type { Engine } from '../compute/engines/engine.ts';
import type { Precision } from '../compute/graph/plan.ts';
import { BATCH_ORDERS, type BatchOrder } from '../data/batches.ts';
import { encodeCorpus, readCorpus } from '../data/corpus.ts';
import type { Corpus } from '../data/text.ts';
import { startToken, type Tokenizer } from '../data/tokenizer.ts';
import type { Collective } from '../distributed/collective.ts';
import { XlstmError } from '../errors.ts';
import { readDesign } from '../models/registry.ts';
import { xlstmArchitecture } from '../models/xlstm/architecture.ts';
import { blocksFromNotation } from '../models/xlstm/config.ts';
import type { AdapterOptions } from '../nn/adapter.ts';
import type { Design } from '../nn/architecture.ts';
import { isLanguageModel, type LanguageModel } from '../nn/layer.ts';
import { Model } from '../nn/model.ts';
import { Parameters, Scope } from '../nn/parameters.ts';
import { Run } from '../training/run.ts';
import { dataSource } from '../training/run_data.ts';
import { requireNewFolder } from '../training/run_folder.ts';
import type { RunOptions } from '../training/run_options.ts';
import { areTokenFiles, readTokens, tokenizerOfFiles } from '../training/token_corpus.ts';
import { chosenTokenizer, type TokenizerChoice } from './chosen_tokenizer.ts';
import type { EngineChoice } from './engine_options.ts';
import { openGivenModel } from './given_model.ts';
import { blockList } from './parse.ts';
import { readConfigFile } from './read_config.ts';

/** The command line of `xlstm train`, as read. */
export interface TrainOptions extends EngineChoice {
  readonly data?: string[];
  readonly corpus: string;
  readonly documents?: boolean;
  readonly validation?: string[];
  readonly validationShare?: number;
  readonly field?: string;
  readonly weights?: number[];
  readonly tokenizer: TokenizerChoice;
  readonly out?: string;
  readonly init?: string;
  readonly lora?: AdapterOptions;
  readonly resume?: string;
  readonly acceptNewData?: boolean;
  readonly config?: string;
  readonly architecture: string;
  readonly model: string;
  readonly slstmAt?: string;
  readonly blocks: number;
  readonly dim: number;
  readonly heads: number;
  readonly dropout: number;
  readonly tieWeights?: boolean;
  readonly batch: number;
  readonly length: number;
  readonly microBatches: number;
  readonly steps: number;
  readonly learningRate: number;
  readonly warmupSteps: number;
  readonly finalFraction: number;
  readonly beta1: number;
  readonly beta2: number;
  readonly weightDecay: number;
  readonly clipNorm: number;
  readonly precision: Precision;
  readonly order: string;
  readonly seed: number;
  readonly evaluateEvery: number;
  readonly evaluationTokens?: number;
  readonly checkpointEvery: number;
  readonly tensorboard?: boolean;
  readonly sample: number;
  readonly prompt?: string;
  readonly json?: boolean;
  readonly wait?: 'spin' | 'sleep';
  readonly wire: 'f32' | 'bf16';
}

/** Whether the command line has an option, which is otherwise its default. */
export type IsGiven = (name: keyof TrainOptions) => boolean;

/** Begins the run that the command line describes. */
export async function newRun(
  engine: Engine,
  options: TrainOptions,
  isGiven: IsGiven,
  collective: Collective,
): Promise<Run> {
  const { order, steps, out, data, corpus: name } = options;
  const { batchSize, microBatches } = stepShape(options, isGiven, collective.size);
  if (!isBatchOrder(order)) {
    throw new XlstmError('usage', `--order: expected ${BATCH_ORDERS.join(', ')}, found "${order}"`);
  }
  const folder = out ?? freeFolder(data ? 'text' : name);
  if (collective.rank === 0) await requireNewFolder(folder);
  const { validation, validationShare, field, weights } = options;
  if (weights && data?.includes('-')) {
    throw new XlstmError('usage', '--weights: standard input is read once', 'Put it in a file.');
  }
  if (weights && order === 'contiguous') {
    throw new XlstmError(
      'usage',
      '--weights: the texts follow each other in contiguous order, and are not mixed',
      'Add --order shuffled, or documents.',
    );
  }
  if (collective.size > 1 && [...(data ?? []), ...(validation ?? [])].includes('-')) {
    throw new XlstmError(
      'usage',
      'standard input reaches rank 0 alone',
      'Put it in a file that all ranks read.',
    );
  }
  const sources = { validation, validationShare, field, weights };
  const evaluationTokens = tokensToMeasure(options);
  if (options.lora && options.init === undefined) {
    throw new XlstmError(
      'usage',
      '--lora: adapters go over the weights of a model: expected --init MODEL, found none',
      'Say which: xlstm train --init MODEL --lora rank=8,alpha=16.',
    );
  }
  const given =
    options.init === undefined ? undefined : await givenModel(engine, options.init, options, isGiven);
  const designOf = await modelDesigns(options);
  // What is wrong with a model of any vocabulary is told before texts are read and a tokenizer is trained.
  if (!given) designOf(2);
  const ofTexts = !areTokenFiles(data) && !areTokenFiles(options.validation);
  const corpus = ofTexts ? await readCorpus(data, name, sources) : undefined;
  const { tokenizer, ...start } = given ?? (await newModel(options, corpus, isGiven, designOf));
  if (order === 'documents' && startToken(tokenizer) === undefined) {
    throw new XlstmError(
      'usage',
      '--order documents: the tokenizer has no token that starts a document',
      'Add --documents, of token files to the xlstm tokenize that makes them.',
    );
  }
  const { learningRate, finalFraction, clipNorm, precision, seed } = options;
  const { evaluateEvery, checkpointEvery } = options;
  const runOptions: RunOptions = {
    steps,
    batchSize,
    length: start.length,
    microBatches,
    learningRate,
    finalFraction,
    optimizer: adamw(options),
    clipNorm,
    precision,
    seed,
    order,
    evaluateEvery,
    evaluationTokens,
    checkpointEvery,
    warmupSteps: Math.min(options.warmupSteps, steps),
  };
  const source = { ...dataSource(data, name, sources) };
  const texts =
    corpus && !weights ? encodeCorpus(tokenizer, corpus) : await readTokens(tokenizer, data, name, sources);
  const model = 'model' in start ? start.model : Model.create(engine, start.design, seed);
  return Run.create({
    model,
    tokenizer,
    options: runOptions,
    folder,
    source,
    collective,
    wire: options.wire,
    ...texts,
  });
}

/** With several ranks the sequences of a step are shared by them, unless micro-batches were asked for. */
function stepShape(
  { batch, microBatches }: TrainOptions,
  isGiven: IsGiven,
  ranks: number,
): Pick<RunOptions, 'batchSize' | 'microBatches'> {
  if (ranks === 1 || isGiven('microBatches')) return { batchSize: batch, microBatches };
  if (batch % ranks === 0) return { batchSize: batch / ranks, microBatches: ranks };
  throw new XlstmError(
    'usage',
    `--batch ${batch}: ${ranks} ranks share the sequences of a step: expected a multiple of ${ranks}`,
    `Choose --batch ${Math.ceil(batch / ranks) * ranks}, or say how many batches of ${batch} make a step: --micro-batches ${ranks}`,
  );
}

const isBatchOrder = (order: string): order is BatchOrder =>
  (BATCH_ORDERS as readonly string[]).includes(order);

/** Undefined: all that is held out. */
function tokensToMeasure({
  validation,
  validationShare,
  evaluationTokens,
}: TrainOptions): number | undefined {
  if (validation && validationShare !== undefined) {
    throw new XlstmError(
      'usage',
      '--validation-share: with --validation nothing of the other texts is held out',
      'Give one of the two.',
    );
  }
  if (validationShare !== 0) return evaluationTokens;
  if (evaluationTokens) {
    throw new XlstmError(
      'usage',
      `--evaluation-tokens ${evaluationTokens}: with --validation-share 0 there is nothing to measure on`,
      'Leave one of the two out.',
    );
  }
  return 0;
}

async function newModel(
  options: TrainOptions,
  corpus: Corpus | undefined,
  isGiven: IsGiven,
  designOf: DesignOf,
): Promise<{ tokenizer: Tokenizer; length: number; design: Design<LanguageModel> }> {
  const tokenizer = await newTokenizer(options, corpus, isGiven);
  return { tokenizer, length: options.length, design: designOf(tokenizer.vocabSize) };
}

async function newTokenizer(
  { data, documents = false, tokenizer: choice }: TrainOptions,
  corpus: Corpus | undefined,
  isGiven: IsGiven,
): Promise<Tokenizer> {
  const ofFiles = await tokenizerOfFiles(data);
  if (!ofFiles) return chosenTokenizer(choice, corpus?.train, documents);
  if (documents) {
    throw new XlstmError(
      'usage',
      '--documents: a token file says itself where documents start',
      'Leave it out; give it to xlstm tokenize.',
    );
  }
  if (isGiven('tokenizer')) {
    throw new XlstmError(
      'usage',
      '--tokenizer: a token file says itself what its tokens are',
      'Leave it out; give it to xlstm tokenize.',
    );
  }
  return ofFiles;
}

async function givenModel(
  engine: Engine,
  place: string,
  options: TrainOptions,
  isGiven: IsGiven,
): Promise<{ tokenizer: Tokenizer; length: number; model: Model<LanguageModel> }> {
  const ifGiven = <K extends keyof TrainOptions>(name: K): TrainOptions[K] | undefined =>
    isGiven(name) ? options[name] : undefined;
  if (isGiven('tokenizer')) {
    throw new XlstmError(
      'usage',
      `--tokenizer: with --init ${place} the tokens are those that the model knows`,
      'Leave one of the two out.',
    );
  }
  const { lora, seed } = options;
  const said = {
    config: ifGiven('config'),
    architecture: ifGiven('architecture'),
    model: ifGiven('model'),
    slstmAt: options.slstmAt === undefined ? undefined : blockList(options.slstmAt),
    blocks: ifGiven('blocks'),
    dim: ifGiven('dim'),
    heads: ifGiven('heads'),
    dropout: ifGiven('dropout'),
    tieWeights: ifGiven('tieWeights'),
  };
  const adapter = lora && newAdapter(lora, place, seed);
  const { model, tokenizer } = await openGivenModel(engine, place, said, adapter);
  if (options.documents && startToken(tokenizer) === undefined) {
    throw new XlstmError(
      'usage',
      `--documents: the tokenizer of ${place} has no token that starts a document`,
      'Leave it out, or begin with a model that was trained with --documents.',
    );
  }
  const length = ifGiven('length') ?? model.design?.describe().contextLength ?? options.length;
  return { model, tokenizer, length };
}

function newAdapter(options: AdapterOptions, place: string, seed: number): GivenAdapter {
  if (/^(https?|file):/i.test(place)) {
    throw new XlstmError(
      'usage',
      `--lora: expected the path of a model with --init, whose files the run reads again; found ${place}`,
      'Download it, or give the folder.',
    );
  }
  return { adapter: { ...options, base: resolve(place), source: '--lora' }, values: { seed } };
}

const adamw = ({ beta1, beta2, weightDecay }: TrainOptions): RunOptions['optimizer'] => ({
  ...{ beta1, beta2, weightDecay },
  epsilon: 1e-8,
});

/** The design of the model that the command line describes, by the size of its vocabulary. */
type DesignOf = (vocabSize: number) => Design<LanguageModel>;

/** The file of a configuration is read once: it may be a pipe. */
async function modelDesigns(options: TrainOptions): Promise<DesignOf> {
  const { config: file } = options;
  if (file === undefined) return (vocabSize) => describedDesign(options, vocabSize);
  const config = await readConfigFile(file);
  return (vocabSize) => languageDesign(config, file, vocabSize);
}

function describedDesign(options: TrainOptions, vocabSize: number): Design<LanguageModel> {
  const { architecture, blocks, dim, heads, dropout, length, tieWeights } = options;
  const config = {
    architecture,
    vocabSize,
    numBlocks: blocks,
    embeddingDim: dim,
    numHeads: heads,
    tieWeights: tieWeights ?? false,
    ...(architecture === xlstmArchitecture.name
      ? { slstmAt: slstmBlocks(options), dropout, contextLength: length }
      : {}),
  };
  return languageDesign(config, 'model configuration', vocabSize);
}

const slstmBlocks = ({ slstmAt, model, blocks }: TrainOptions): readonly number[] | 'all' =>
  slstmAt === undefined ? blocksFromNotation(model, blocks) : blockList(slstmAt);

/** Throws unless it is a language model's that knows so many tokens. */
function languageDesign(config: unknown, source: string, vocabSize: number): Design<LanguageModel> {
  const design = readDesign(config, source);
  const network = design.build(new Scope(new Parameters()));
  if (isLanguageModel(network) && network.vocabSize >= vocabSize) return design as Design<LanguageModel>;
  throw new XlstmError(
    'config',
    isLanguageModel(network)
      ? `${source}: vocab_size: the tokenizer needs at least ${vocabSize}, found ${network.vocabSize}`
      : `${source}: expected a language model, found a model that takes no tokens: ${design.describe().summary}`,
  );
}

function freeFolder(name: string): string {
  for (let i = 1; ; i++) {
    const folder = i === 1 ? `runs/${name}` : `runs/${name}-${i}`;
    if (!existsSync(folder)) return folder;
  }
}
