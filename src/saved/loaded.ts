import type { LoadedModel } from '../checkpoints/checkpoint.ts';
import { checkChoice, checkNames } from '../checks.ts';
import type { Engine } from '../compute/engines/engine.ts';
import { sharedEngine } from '../compute/engines/shared.ts';
import { type Precision, precisions } from '../compute/graph/plan.ts';
import { XlstmError } from '../errors.ts';
import { TextModel } from '../generation/text_model.ts';
import { SequenceNetwork } from '../models/sequence/network.ts';
import { takesTokens } from '../nn/model.ts';
import { SequenceModel } from '../sequences/sequence_model.ts';
import { checkSource, type ModelSource } from './given_files.ts';

/** What a model is loaded as, by what is asked for. */
export interface LoadedAs {
  /** One that reads and writes tokens, of any architecture. */
  readonly text: TextModel;
  /** One of sequences of numbers. */
  readonly sequence: SequenceModel;
  /** One of these, or for a network that is neither the model as it is. */
  readonly any: TextModel | SequenceModel | LoadedModel;
}

/** How a model is loaded. */
export interface LoadOptions<K extends keyof LoadedAs = keyof LoadedAs> {
  /** What computes. Default: the fastest engine there is, which all models share that are given none. */
  readonly engine?: Engine;
  /** What is expected; another model is refused. Default: any. */
  readonly kind?: K;
  /**
   * Low-rank matrices that were trained over this model (`xlstm train --lora`, or PEFT): where their folder lies, or their
   * files. Left out: none, or those of the folder, where it is that of an adapter, which names its base.
   */
  readonly adapter?: ModelSource;
  /**
   * What matrices are multiplied in. With bf16 they are rounded once, as they are read: about twice as fast products, half the
   * memory. It takes the native engine on a processor with avx512_bf16, or webgpu; another one is refused, as are small weights. The
   * model can then be used, not trained or saved. Default: f32.
   */
  readonly precision?: Precision;
}

const FOUND: Readonly<Record<'text' | 'sequence', string>> = {
  text: 'a language model',
  sequence: 'a model of sequences of numbers',
};

/** Loads with the engine of the options, and gives the model the form that fits its network. */
export async function loadAs<K extends keyof LoadedAs>(
  options: LoadOptions<K>,
  place: string,
  load: (engine: Engine) => Promise<LoadedModel>,
): Promise<LoadedAs[K]> {
  checkNames('loadModel', options, ['engine', 'kind', 'adapter', 'precision']);
  const kind = options.kind ?? 'any';
  checkChoice('kind', kind, ['text', 'sequence', 'any']);
  checkChoice('precision', options.precision ?? 'f32', precisions);
  if (options.adapter !== undefined) checkSource(options.adapter, 'adapter');
  const loaded = await load(options.engine ?? (await sharedEngine()));
  const { model, tokenizer } = loaded;
  const found = takesTokens(model)
    ? 'text'
    : model.network instanceof SequenceNetwork
      ? 'sequence'
      : undefined;
  if (kind !== 'any' && kind !== found) {
    const summary = model.design?.describe().summary;
    model.free();
    throw new XlstmError(
      'checkpoint',
      `${place}: expected ${FOUND[kind as 'text' | 'sequence']}, found ${found ? FOUND[found] : 'another network'}: ${summary}`,
      'Left out, kind is what the model is.',
    );
  }
  const result = takesTokens(model)
    ? new TextModel(model, tokenizer)
    : found === 'sequence'
      ? SequenceModel.of(model)
      : loaded;
  return result as LoadedAs[K];
}
