import { execFile } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, it } from 'vitest';
import { replaceFolder } from '../../src/checkpoints/files.ts';
import { safetensorsHeader } from '../../src/checkpoints/safetensors.ts';
import { formatDesign, readDesign } from '../../src/models/registry.ts';
import { Parameters, Scope } from '../../src/nn/parameters.ts';

const dist = (name: string): string => new URL(`../../dist/${name}`, import.meta.url).href;

/** Loads a model in a process of its own; prints by how many bytes its largest size grew, and the model's own. */
const LOAD = `
  const { loadCheckpoint } = await import('${dist('node.js')}');
  const { chooseEngine } = await import('${dist('index.js')}');
  const [folder, name, packing] = process.argv.slice(1);
  const { engine } = await chooseEngine(name);
  const before = process.resourceUsage().maxRSS;
  const { model } = await loadCheckpoint(engine, folder, { packing });
  const grown = 1024 * (process.resourceUsage().maxRSS - before);
  const bytes = model.parameters.regions.reduce((sum, region) => sum + region.bytes, 0);
  console.log(JSON.stringify({ grown, bytes }));
  await engine.close();
`;

it('a model is loaded in its own size, 5 % and one tensor', { timeout: 120_000 }, async () => {
  const folder = await mkdtemp(join(tmpdir(), 'xlstm-memory-'));
  try {
    const design = readDesign(
      { architecture: 'xlstm-large', vocabSize: 50_000, embeddingDim: 512, numBlocks: 2 },
      'test',
    );
    const parameters = new Parameters();
    design.build(new Scope(parameters));
    const { list } = parameters;
    const largest = 4 * 50_000 * 512;
    function* weights(): Generator<Uint8Array> {
      yield safetensorsHeader(list.map(({ name, shape }) => [name, { dtype: 'F32', shape }]));
      for (const { shape } of list) {
        yield new Uint8Array(new Float32Array(shape.reduce((product, n) => product * n, 1)).fill(0.5).buffer);
      }
    }
    await replaceFolder(
      join(folder, 'model'),
      new Map<string, string | Iterable<Uint8Array>>([
        ['config.json', JSON.stringify(formatDesign(design))],
        ['model.safetensors', weights()],
      ]),
    );
    for (const args of [['auto'], ['wasm'], ['auto', 'q8']]) {
      const { stdout } = await promisify(execFile)(process.execPath, [
        ...['--input-type=module', '-e', LOAD, join(folder, 'model'), ...args],
      ]);
      const { grown, bytes } = JSON.parse(stdout) as { grown: number; bytes: number };
      expect(bytes).toBeGreaterThan(args[1] ? 100e6 : 200e6);
      expect(grown, args.join(' ')).toBeGreaterThan(0.9 * bytes);
      expect(grown, args.join(' ')).toBeLessThan(1.05 * bytes + largest);
    }
  } finally {
    await rm(folder, { recursive: true });
  }
});
