import { XlstmError } from '../../errors.ts';
import { type ContestantConfig, contestants } from '../../models/baselines/contestants.ts';
import { fitSize, widthStep } from '../../models/baselines/sizing.ts';
import { parseLargeConfig } from '../../models/large/config.ts';
import { LargeLanguageModel } from '../../models/large/language_model.ts';
import type { LanguageModel } from '../../nn/layer.ts';
import { Parameters, Scope } from '../../nn/parameters.ts';

/** Sizes of a model; the meaning of each is that of the contestants of the arena. */
export type StudyConfig = Omit<ContestantConfig, 'layers' | 'positions'>;

interface StudyModel {
  readonly numHeads: number;
  /** Widths have to be divisible by so many for each head. */
  readonly headMultiple: 1 | 2;
  /** Of a model of so many blocks of a Transformer. */
  readonly blocks: (depth: number) => number;
  readonly build: (scope: Scope, config: StudyConfig) => LanguageModel;
}

const contestant = (
  name: keyof typeof contestants,
  blocks: (depth: number) => number = (depth) => depth,
): StudyModel => {
  const { numHeads, headMultiple, build } = contestants[name];
  return {
    numHeads,
    headMultiple,
    blocks,
    build: (scope, config) => build(scope, { ...config, positions: config.contextLength }),
  };
};

/** Blocks without a feed-forward of their own are twice as many, as in the papers of these models. */
const twice = (depth: number): number => 2 * depth;

/** The feed-forward's width as the official model has it, before it is rounded. */
const LARGE_FEED_FORWARD = 2.6667;

const large: StudyModel = {
  numHeads: 4,
  headMultiple: 2,
  blocks: (depth) => depth,
  build: (scope, { vocabSize, embeddingDim, numBlocks, numHeads, expansion }) =>
    new LargeLanguageModel(
      scope,
      parseLargeConfig(
        {
          ...{ vocabSize, embeddingDim, numBlocks, numHeads },
          ffnProjFactor: LARGE_FEED_FORWARD * expansion,
          ffnRoundUpToMultipleOf: 1,
        },
        'xlstm-large',
      ),
    ),
};

const table = {
  'xlstm[1:0]': contestant('xlstm[1:0]', twice),
  'xlstm[7:1]': contestant('xlstm[7:1]', (depth) => 8 * Math.ceil(depth / 4)),
  'xlstm-large': large,
  transformer: contestant('transformer'),
  mamba: contestant('mamba', twice),
  'gated-deltanet[-1:1]': contestant('gated-deltanet[-1:1]'),
  // Without residuals and norms, more layers do not help it.
  lstm: contestant('lstm', () => 2),
} as const satisfies Record<string, StudyModel>;

export type StudyModelName = keyof typeof table;
export const studyModels: Readonly<Record<StudyModelName, StudyModel>> = table;
export const studyModelNames = Object.keys(table) as StudyModelName[];

/** The name of a model as it is written in records; throws where there is no such model. */
export function checkedStudyModel(name: string): StudyModelName {
  const found = studyModelNames.find((known) => known === name.toLowerCase());
  if (found) return found;
  throw new XlstmError(
    'usage',
    `the scaling study has no model called "${name}"`,
    `its models: ${studyModelNames.join(', ')}`,
  );
}

/** Blocks of a Transformer of so many parameters: 2 up to 100,000, 4 at a million, 6 at three. */
const depthOf = (parameters: number): number => Math.max(2, Math.round(2 * (parameters / 1e5) ** 0.32));

/** A model's parameters but for the tables that have a row for each token, and these. */
export interface SizedModel {
  readonly config: StudyConfig;
  readonly parameters: number;
  readonly embeddingParameters: number;
}

/** The model of about so many parameters beside its embedding and output matrix. Throws where none is within 3 %. */
export function sizedModel(name: StudyModelName, size: number, vocabSize: number): SizedModel {
  const { numHeads, headMultiple, blocks } = studyModels[name];
  const step = widthStep(numHeads, headMultiple);
  const base = { vocabSize, numHeads, numBlocks: blocks(depthOf(size)), contextLength: 256 };
  const sized = (steps: number, expansion: number): SizedModel => {
    const config = { ...base, embeddingDim: steps * step, expansion };
    return { config, ...countParameters(name, config) };
  };
  const { fitting, nearest } = fitSize(sized, size);
  if (fitting) return fitting;
  throw new XlstmError(
    'config',
    `${name}: no size has ${size} parameters beside its embedding to within 3 %; the nearest has ${nearest.parameters}`,
    'Choose other sizes with --sizes.',
  );
}

/** What the embedding and the output matrix are called, and what belongs to them. */
const EMBEDDING = /(^|\.)(token_embedding|embeddings|lm_head)\./;

function countParameters(
  name: StudyModelName,
  config: StudyConfig,
): Pick<SizedModel, 'parameters' | 'embeddingParameters'> {
  const parameters = new Parameters();
  studyModels[name].build(new Scope(parameters), config);
  let embeddingParameters = 0;
  for (const { name, shape } of parameters.list) {
    if (EMBEDDING.test(name)) embeddingParameters += shape.reduce((product, size) => product * size, 1);
  }
  return { parameters: parameters.count - embeddingParameters, embeddingParameters };
}
