import type * as Xlstm from '../../src/index.ts';

export interface Outcome {
  /** Of each training step, in nats. */
  readonly losses: readonly number[];
  /** What the trained model wrote, greedily. */
  readonly text: string;
  readonly threads: number;
  readonly engine: string;
  readonly crossOriginIsolated: boolean;
}

const BATCH = 4;
const LENGTH = 64;
const STEPS = 12;

export interface Work {
  readonly engine: 'wasm' | 'webgpu';
  /** Of wasm. */
  readonly threads?: number;
  /** Default: 12. */
  readonly steps?: number;
}

/** Trains a small language model of both kinds of block on a sentence and lets it write: in Node or in a browser. */
export async function trainAndWrite(
  xlstm: typeof Xlstm,
  { engine: name, threads, steps = STEPS }: Work,
): Promise<Outcome> {
  const { engine } = await xlstm.chooseEngine(name, threads === undefined ? {} : { threads });
  const tokenizer = new xlstm.ByteTokenizer();
  const config = xlstm.languageModelConfig({
    vocabSize: tokenizer.vocabSize,
    embeddingDim: 64,
    numBlocks: 2,
    slstmAt: [1],
    contextLength: LENGTH,
  });
  const model = xlstm.Model.create(engine, (scope) => new xlstm.XlstmLanguageModel(scope, config), 1);
  const text = 'the sea, the sea, and the white whale in it. '.repeat(40);
  const order = 'contiguous';
  const batches = new xlstm.TokenBatches(tokenizer.encode(text), { batchSize: BATCH, length: LENGTH, order });
  const trainer = new xlstm.Trainer(model, {
    batchSize: BATCH,
    length: LENGTH,
    carryState: true,
  });
  const losses: number[] = [];
  for (let step = 0; step < steps; step++) {
    losses.push((await trainer.step(batches.next(), 1e-2)).loss);
  }
  const session = new xlstm.Session(model, tokenizer);
  await session.append('the ');
  let written = '';
  for await (const piece of session.generate({ maxTokens: 16, temperature: 0 })) written += piece;
  await engine.close();
  return {
    losses,
    text: written,
    threads: engine.threads,
    engine: engine.description,
    crossOriginIsolated: globalThis.crossOriginIsolated === true,
  };
}
