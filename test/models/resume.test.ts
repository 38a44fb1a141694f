import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { loadTextModel } from '../../src/checkpoints/checkpoint_folder.ts';
import type { Engine } from '../../src/compute/engines/engine.ts';
import { createWasmEngine } from '../../src/compute/engines/wasm/engine.ts';
import { encodeCorpus, readCorpus } from '../../src/data/corpus.ts';
import { ByteTokenizer, DOCUMENT } from '../../src/data/tokenizer.ts';
import { Session } from '../../src/generation/session.ts';
import { baselineArchitectures } from '../../src/models/baselines/architectures.ts';
import { createModel } from '../../src/models/create_model.ts';
import type { Model } from '../../src/nn/model.ts';
import { takesTokens } from '../../src/nn/model.ts';
import { resumeTraining } from '../../src/training/resume.ts';
import { type RunControl, runTraining } from '../../src/training/train_run.ts';

const tokenizer = new ByteTokenizer([DOCUMENT]);

describe.each(['xlstm', ...baselineArchitectures.map(({ name }) => name)])('%s', (architecture) => {
  let engine: Engine;
  let place: string;
  let text: string;
  beforeAll(async () => {
    engine = await createWasmEngine({ threads: 1 });
    place = await mkdtemp(join(tmpdir(), 'xlstm-resume-'));
    text = join(place, 'text.txt');
    await writeFile(
      text,
      'The white whale swims in the wide sea, and nobody knows where it sleeps.\n'.repeat(9),
    );
  });
  afterAll(async () => {
    await engine.close();
    await rm(place, { recursive: true });
  });

  /** The model in memory at the end. */
  async function train(folder: string, control: RunControl = {}): Promise<Model> {
    const sizes = { vocabSize: tokenizer.vocabSize, embeddingDim: 16, numBlocks: 2, numHeads: 2 };
    const model = createModel(engine, { architecture, ...sizes, contextLength: 16 }, { seed: 5 });
    if (!takesTokens(model)) throw new Error(`${architecture} takes no tokens`);
    await runTraining({
      ...encodeCorpus(tokenizer, await readCorpus([text], '')),
      ...{ model, tokenizer, folder: join(place, folder), source: { data: [text], corpus: '' } },
      options: {
        ...{ steps: 8, batchSize: 2, length: 12, microBatches: 1, learningRate: 0.01, warmupSteps: 2 },
        optimizer: { beta1: 0.9, beta2: 0.95, epsilon: 1e-8, weightDecay: 0.1 },
        ...{ finalFraction: 0.1, clipNorm: 1, order: 'contiguous', seed: 3 },
        ...{ evaluateEvery: 8, checkpointEvery: 4 },
      },
      ...control,
    });
    return model;
  }

  const written = async (model: Model): Promise<string> => {
    const session = new Session(model, tokenizer);
    await session.append('The white');
    let all = '';
    for await (const piece of session.generate({ maxTokens: 12, seed: 2 })) all += piece;
    return all;
  };

  it('stops in the middle of a text, goes on, and ends with the bits of a run that was left alone', async () => {
    const model = await train('whole');
    const stop = new AbortController();
    await train('parts', { signal: stop.signal, onStep: ({ step }) => step === 5 && stop.abort() });
    await resumeTraining(engine, join(place, 'parts'));
    for (const name of ['model.safetensors', 'optimizer.safetensors']) {
      const [whole, parts] = await Promise.all(
        ['whole', 'parts'].map((run) => readFile(join(place, run, 'checkpoint', name))),
      );
      expect(parts.equals(whole), name).toBe(true);
    }
    const loaded = await loadTextModel(engine, join(place, 'parts'));
    expect(loaded.model.design).toEqual(model.design);
    expect(await written(loaded.model)).toBe(await written(model));
  });
});
