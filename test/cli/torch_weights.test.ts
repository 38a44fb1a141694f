import { cp, mkdir, rename, writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';
import { pickle, tensor, torchFile } from '../../src/checkpoints/testing/torch.ts';
import { ByteTokenizer, chooseEngine, createModel } from '../../src/index.ts';
import { saveCheckpoint } from '../../src/node.ts';
import { workplace } from './command.ts';

const { path, xlstm } = workplace();
const golden = (name: string): string => fileURLToPath(new URL(`../golden/torch/${name}`, import.meta.url));

it('inspects a folder whose weights are of PyTorch', async () => {
  const { code, stdout } = await xlstm(['inspect', golden('xlstm'), '--json']);
  expect(code).toBe(0);
  const { architecture, layers } = JSON.parse(stdout) as {
    architecture: string;
    layers: { name: string; kind: string }[];
  };
  expect(architecture).toBe('xlstm');
  expect(layers.find(({ name }) => name === 'blocks.0')?.kind).toBe('sLSTM');
});

it('measures and writes texts with weights of PyTorch as with the same in safetensors', async () => {
  const { engine } = await chooseEngine('reference');
  const model = createModel(engine, {
    vocabSize: 257,
    embeddingDim: 8,
    numBlocks: 2,
    numHeads: 2,
    slstmAt: [1],
  });
  await saveCheckpoint(path('model'), { model, tokenizer: new ByteTokenizer() });
  await writeFile(path('text.txt'), 'a text of some letters');
  const commands = [
    ['eval', 'model', 'text.txt', '--engine', 'reference', '--json'],
    [
      'generate',
      'model',
      '--prompt',
      'a',
      '--max-tokens',
      '8',
      '--temperature',
      '0',
      '--engine',
      'reference',
    ],
  ];
  const outputs = async (): Promise<unknown[]> => {
    const found: unknown[] = [];
    for (const command of commands) found.push(await xlstm(command));
    return found;
  };
  const expected = await outputs();
  expect(expected).toMatchObject([{ code: 0 }, { code: 0 }]);

  const parts: Uint8Array[] = [];
  const storages: Record<string, Uint8Array> = {};
  for (const [name, { shape, values }] of await model.read()) {
    const key = String(parts.length);
    const strides = shape.map((_, d) => shape.slice(d + 1).reduce((product, n) => product * n, 1));
    parts.push(pickle.text(name), tensor({ key, length: values.length, shape, strides }));
    storages[key] = new Uint8Array(Float32Array.from(values).buffer);
  }
  await engine.close();
  await writeFile(path('model/weights.pth'), torchFile(pickle.of(pickle.dict(...parts)), storages));
  await rename(path('model/model.safetensors'), path('aside'));
  const found = await outputs();
  expect(JSON.parse((found[0] as { stdout: string }).stdout)).toMatchObject({
    loss: JSON.parse((expected[0] as { stdout: string }).stdout).loss,
  });
  expect((found[1] as { stdout: string }).stdout).toBe((expected[1] as { stdout: string }).stdout);
});

it('says in one line what a file asks to run', async () => {
  await mkdir(path('bad'));
  await cp(golden('xlstm/config.json'), path('bad/config.json'));
  await cp(golden('command.pt'), path('bad/model.pt'));
  const { code, stdout, stderr } = await xlstm(['generate', 'bad', '--prompt', 'a']);
  expect([code, stdout]).toEqual([1, '']);
  expect(stderr).toContain('the file asks to run posix.system');
  expect(stderr).toContain('torch.save(model.state_dict(), path)');
  expect(stderr.trim().split('\n').length).toBeLessThan(5);
});
