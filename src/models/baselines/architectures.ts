import { XlstmError } from '../../errors.ts';
import type { Architecture } from '../../nn/architecture.ts';
import type { LanguageModel } from '../../nn/layer.ts';
import { quote } from '../../quote.ts';
import {
  allFieldsOf,
  type FieldOf,
  fileOrProgram,
  formatFields,
  MAX_SIZE,
  readFields,
} from '../xlstm/config_fields.ts';
import { type ContestantConfig, type ContestantName, contestantNames, contestants } from './contestants.ts';

/** What xLSTM is compared with; an xLSTM has its own architecture. */
export type BaselineName = Exclude<ContestantName, `xlstm${string}`>;

/** A baseline without settings of xLSTM layers. */
export interface BaselineConfig extends Omit<ContestantConfig, 'layers'> {}

/**
 * What a program says about a baseline. Everything but the vocabulary has a default: embeddingDim 128, 2 blocks, 4 heads
 * where there are some, contextLength and positions 256, expansion 1.
 */
export type BaselineOptions = Partial<BaselineConfig> & {
  /** V, such as that of the tokenizer. */
  readonly vocabSize: number;
};

/** The widest inner layer, a plain feed-forward's, relative to the embedding. */
const WIDEST = 4;

/** A key of all files alike, nested or not. */
const field = <P extends keyof BaselineConfig>(
  path: P,
  name: string,
  kind: FieldOf<BaselineConfig>['kind'],
  absent?: number,
) => ({
  path,
  official: name,
  flat: name,
  kind,
  absent,
});

function baseline(name: BaselineName): Architecture<BaselineConfig, LanguageModel> {
  const { numBlocks, numHeads, headMultiple, build } = contestants[name];
  const fields = allFieldsOf<BaselineConfig>()([
    field('vocabSize', 'vocab_size', 'size'),
    field('embeddingDim', 'embedding_dim', 'size', 128),
    field('numBlocks', 'num_blocks', 'depth', numBlocks),
    field('numHeads', 'num_heads', 'size', numHeads),
    field('contextLength', 'context_length', 'size', 256),
    field('positions', 'positions', 'size', 256),
    field('expansion', 'expansion', 'factor', 1),
  ]);
  return {
    name,
    parseConfig(json, source) {
      const spelling = fileOrProgram(fields, json);
      const config = readFields(fields, json, source, spelling);
      const { embeddingDim, expansion, numHeads: heads } = config;
      const width = `${source}: ${spelling === 'flat' ? 'embedding_dim' : 'embeddingDim'}: expected`;
      // Models that have no heads take no notice of their number.
      const multiple = numHeads === 1 ? 1 : heads * headMultiple;
      if (embeddingDim % multiple !== 0) {
        throw new XlstmError(
          'config',
          `${width} a multiple of ${multiple} for ${heads} heads, found ${embeddingDim}`,
        );
      }
      const inner = WIDEST * expansion * embeddingDim;
      if (inner > MAX_SIZE) {
        throw new XlstmError(
          'config',
          `${width} at most ${MAX_SIZE / WIDEST} by the expansion, which is ${quote(expansion)}; found ${embeddingDim}`,
        );
      }
      return config;
    },
    formatConfig: (config) => formatFields(fields, config),
    build,
    describe: (config) => ({
      summary: `${name}, ${config.numBlocks} blocks, width ${config.embeddingDim}`,
      kinds: { token_embedding: 'embedding', lm_head: 'output' },
      contextLength: config.contextLength,
    }),
  };
}

const isBaseline = (name: ContestantName): name is BaselineName => !name.startsWith('xlstm');

export const baselineArchitectures: readonly Architecture<BaselineConfig, LanguageModel>[] = contestantNames
  .filter(isBaseline)
  .map(baseline);
