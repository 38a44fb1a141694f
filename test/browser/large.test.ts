import { expect, it } from 'vitest';
import { safetensorsHeader } from '../../src/checkpoints/safetensors.ts';
import { packedShape } from '../../src/compute/graph/packed_linear.ts';
import { packRows } from '../../src/compute/program/packing.ts';
import { sizeOf } from '../../src/compute/program/region.ts';
import { ByteTokenizer } from '../../src/data/tokenizer.ts';
import { describeTokenizer } from '../../src/data/tokenizer_registry.ts';
import { chooseEngine, loadModel } from '../../src/index.ts';
import { readDesign } from '../../src/models/registry.ts';
import { type Parameter, Parameters, Scope } from '../../src/nn/parameters.ts';
import { Random } from '../../src/random.ts';
import { hasChromium, launchChromium } from './chromium.ts';
import { serve } from './server.ts';

/** 405 M parameters: a quarter of the 7B's width, and its vocabulary. */
const config = {
  architecture: 'xlstm-large',
  ...{ vocabSize: 50304, embeddingDim: 1024, numBlocks: 24, numHeads: 4 },
  quantization_config: { quant_method: 'xlstm', format: 'q4' },
};

const storedShape = ({ shape, format }: Parameter): readonly number[] =>
  format ? packedShape(format, shape) : shape;

/** Up to 64 rows of a new parameter, as a file holds them. */
function someRows({ shape, init, format }: Parameter, random: Random): Uint8Array {
  const values = init(random, [Math.min(shape[0], 64), ...shape.slice(1)]);
  const data = format ? packRows(format, values, shape[1]) : Float32Array.from(values);
  return new Uint8Array(data.buffer);
}

/** Each parameter repeats its first rows: random numbers for all would take a minute. */
function weightsOf(parameters: Parameters): Uint8Array {
  const { list } = parameters;
  const header = safetensorsHeader(
    list.map((p) => [p.name, { dtype: p.format ? 'I32' : 'F32', shape: storedShape(p) }]),
  );
  const file = new Uint8Array(header.length + list.reduce((sum, p) => sum + 4 * sizeOf(storedShape(p)), 0));
  file.set(header);
  const random = new Random(1);
  let at = header.length;
  for (const parameter of list) {
    const rows = someRows(parameter, random);
    const end = at + 4 * sizeOf(storedShape(parameter));
    for (; at < end; at += rows.length) file.set(rows.subarray(0, end - at), at);
    at = end;
  }
  return file;
}

const PROMPT = 'Of a white whale';

it.runIf(hasChromium)(
  'a page loads a model of 405 M parameters in q4 and writes what Node writes, within 4 GiB',
  async () => {
    const design = readDesign(config, 'config');
    const parameters = new Parameters('q4');
    design.build(new Scope(parameters));
    expect(parameters.count).toBeGreaterThan(400e6);
    const json = (value: unknown): Uint8Array => new TextEncoder().encode(JSON.stringify(value));
    const files = new Map([
      ['config.json', json(config)],
      ['tokenizer.json', json(describeTokenizer(new ByteTokenizer()))],
      ['model.safetensors', weightsOf(parameters)],
    ]);

    const { engine } = await chooseEngine('wasm', { threads: 1 });
    const model = await loadModel({ files }, { kind: 'text', engine });
    const written = await model.session().complete(PROMPT, { maxTokens: 4, temperature: 0 });
    await engine.close();

    const site = await serve({
      isolated: true,
      files: new Map([...files].map(([name, content]) => [`/large/${name}`, content])),
    });
    const browser = await launchChromium();
    try {
      const page = await browser.newPage();
      await page.goto(`${site.address}/page.html`);
      const found = (await page.evaluate(`(async () => {
        const { chooseEngine, loadModel } = await import('/dist/index.js');
        const { engine } = await chooseEngine('wasm', { threads: 2 });
        const model = await loadModel('/large/', { kind: 'text', engine });
        return await model.session().complete(${JSON.stringify(PROMPT)}, { maxTokens: 4, temperature: 0 });
      })()`)) as typeof written;
      expect(found).toEqual(written);
      expect(found.usage.completionTokens).toBe(4);
    } finally {
      await browser.close();
      await site.close();
    }
  },
  120_000,
);
