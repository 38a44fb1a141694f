// A small program of a user: two steps of training and a few characters, by whichever engine is there.
import { ByteTokenizer, chooseEngine, createModel, Session, TokenBatches, Trainer } from 'xlstm';
import { relu } from 'xlstm/graph';
import { Linear } from 'xlstm/nn';

export async function trainAndWrite(name) {
  if (typeof Linear !== 'function' || typeof relu !== 'function') throw new Error('an entry is empty');
  const { engine } = await chooseEngine(name, { threads: 1 });
  const config = { vocabSize: 256, embeddingDim: 32, numHeads: 2, numBlocks: 2, slstmAt: [1] };
  const model = createModel(engine, config, { seed: 1 });
  const tokenizer = new ByteTokenizer();
  const shape = { batchSize: 2, length: 16 };
  const batches = new TokenBatches(tokenizer.encode('the sea, the whale, '.repeat(9)), {
    ...shape,
    order: 'contiguous',
  });
  const trainer = new Trainer(model, shape);
  const losses = [];
  for (let step = 0; step < 2; step++) losses.push((await trainer.step(batches.next(), 1e-2)).loss);
  const session = new Session(model, tokenizer);
  await session.append('the ');
  let text = '';
  for await (const piece of session.generate({ maxTokens: 8, temperature: 0 })) text += piece;
  await engine.close();
  return { engine: engine.name, losses, text };
}
