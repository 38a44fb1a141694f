// Trains a small xLSTM on a text file and lets it write: the library without the command line.
//   node examples/train_and_write.js path/to/text.txt
import { readFileSync } from 'node:fs';
import {
  ByteTokenizer,
  chooseEngine,
  languageModelConfig,
  Model,
  Session,
  TokenBatches,
  Trainer,
  warmupCosine,
  XlstmLanguageModel,
} from 'xlstm';

const steps = 300;
const text = readFileSync(process.argv[2] ?? new URL('../docs/architecture.md', import.meta.url), 'utf8');
const tokenizer = new ByteTokenizer();

const { engine, reason } = await chooseEngine('auto');
console.log(`${engine.description} (${reason})`);

const config = languageModelConfig({
  vocabSize: tokenizer.vocabSize,
  embeddingDim: 64,
  numBlocks: 2,
  slstmAt: [1],
});
const model = Model.create(engine, (scope) => new XlstmLanguageModel(scope, config), 1);

const shape = { batchSize: 4, length: 64 };
const batches = new TokenBatches(tokenizer.encode(text), { ...shape, order: 'contiguous' });
const adamw = { beta1: 0.9, beta2: 0.95, epsilon: 1e-8, weightDecay: 0.1 };
const trainer = new Trainer(model, { ...shape, ...adamw, clipNorm: 1, carryState: true, seed: 1 });
const learningRate = warmupCosine({ peak: 4e-3, warmupSteps: 20, totalSteps: steps, finalFraction: 0.05 });

for (let step = 1; step <= steps; step++) {
  const batch = batches.next();
  if (!batch.continues) trainer.clearState();
  const { loss } = await trainer.step([batch], learningRate(step));
  if (step % 50 === 0) console.log(`step ${step}: loss ${loss.toFixed(3)}`);
}

const session = new Session(model, tokenizer);
await session.append('The ');
for await (const piece of session.generate({ maxTokens: 200, temperature: 0.7, seed: 1 }))
  process.stdout.write(piece);
console.log();
await engine.close();
