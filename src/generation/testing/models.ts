import type { Engine } from '../../compute/engines/engine.ts';
import { createReferenceEngine } from '../../compute/engines/reference/engine.ts';
import { add } from '../../compute/graph/elementwise.ts';
import { embedding } from '../../compute/graph/embedding.ts';
import type { Tensor } from '../../compute/graph/tensor.ts';
import type { StreamingDecoder, Tokenizer, TokenizerDescription } from '../../data/tokenizer.ts';
import { createModel } from '../../models/create_model.ts';
import { languageModelConfig } from '../../models/xlstm/config.ts';
import type { LanguageModel, LayerOutput, LayerState, Pass } from '../../nn/layer.ts';
import { Model } from '../../nn/model.ts';
import type { Scope } from '../../nn/parameters.ts';

/** An mLSTM and an sLSTM block with random weights. */
export function tinyModel(vocabSize: number, seed: number, engine: Engine = createReferenceEngine()): Model {
  const config = languageModelConfig({
    vocabSize,
    embeddingDim: 16,
    numBlocks: 2,
    numHeads: 2,
    slstmAt: [1],
    tieWeights: false,
  });
  return createModel(engine, config, { seed: seed });
}

/** Says which token follows which; its state counts the tokens. */
class SuccessorNetwork implements LanguageModel {
  readonly vocabSize: number;
  readonly #table: Tensor; // [V, V]

  constructor(scope: Scope, vocabSize: number, successors: ReadonlyMap<number, number>) {
    this.vocabSize = vocabSize;
    this.#table = scope.parameter('table', [vocabSize, vocabSize], () => {
      const table = new Float64Array(vocabSize * vocabSize);
      for (const [id, next] of successors) table[id * vocabSize + next] = 100;
      return table;
    });
  }

  stateShapes(batch: number): Record<string, readonly number[]> {
    return { count: [batch, 1] };
  }

  forward(tokens: Tensor, _: Pass, state: LayerState): LayerOutput {
    return { y: embedding(tokens, this.#table), state: { count: add(state.count, tokens.shape[1]) } };
  }

  logits(y: Tensor): Tensor {
    return y;
  }
}

export const successorModel = (vocabSize: number, successors: ReadonlyMap<number, number>): Model =>
  Model.create(createReferenceEngine(), (scope) => new SuccessorNetwork(scope, vocabSize, successors), 1);

/** One token a character of an alphabet, or a text of a list. */
export class AlphabetTokenizer implements Tokenizer {
  readonly vocabSize: number;
  readonly specials: ReadonlyMap<string, number> = new Map();
  readonly #alphabet: readonly string[];

  constructor(alphabet: Iterable<string>) {
    this.#alphabet = [...alphabet];
    this.vocabSize = this.#alphabet.length;
  }

  encode(text: string): Int32Array {
    return Int32Array.from([...text].map((character) => this.#alphabet.indexOf(character)));
  }

  decode(ids: ArrayLike<number>): string {
    return Array.from(ids, (id) => this.#alphabet[id]).join('');
  }

  decoder(): StreamingDecoder {
    return { push: (id) => this.#alphabet[id], flush: () => '' };
  }

  toJSON(): TokenizerDescription {
    throw new Error('this tokenizer is not stored');
  }
}

export async function collect(pieces: AsyncIterable<string>): Promise<string> {
  let text = '';
  for await (const piece of pieces) text += piece;
  return text;
}
