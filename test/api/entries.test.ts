import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import * as aiSdk from '../../src/ai_sdk.ts';
import * as forecasting from '../../src/forecasting.ts';
import * as graph from '../../src/graph.ts';
import { add, assign, evaluation, leaf, multiply, plan, Region } from '../../src/graph.ts';
import * as root from '../../src/index.ts';
import { chooseEngine, Sampler, TokenWindow } from '../../src/index.ts';
import * as nn from '../../src/nn.ts';
import * as onnx from '../../src/onnx.ts';
import * as serving from '../../src/serving.ts';

const run = promisify(execFile);
const project = fileURLToPath(new URL('../../', import.meta.url));

describe('the entries of the package', () => {
  it('share no name: where something is to be imported from is plain', () => {
    const names = [root, nn, graph, onnx, forecasting, serving, aiSdk].flatMap((entry) => Object.keys(entry));
    expect(names.filter((name, i) => names.indexOf(name) !== i)).toEqual([]);
  });

  it('have all that binding a Program of one’s own takes', async () => {
    const { engine } = await chooseEngine('reference');
    const io = new Region('io');
    const kept = new Region('kept');
    const [x, sum] = [leaf(io, 'x', [2, 3]), leaf(kept, 'sum', [2, 3])];
    const program = plan('accumulate', { io, roots: [assign(sum, add(sum, x))], limits: engine.limits });
    const memory = engine.allocate(kept);
    const { io: inputs, run } = engine.bind(program, [memory]);
    inputs.write('x', [1, 2, 3, 4, 5, 6]);
    await run();
    await run();
    expect([...(await memory.read('sum', 0, 6))]).toEqual([2, 4, 6, 8, 10, 12]);
    expect(() => io.add('wide', [2, -1])).toThrow(/io: the shape of "wide": expected whole numbers/);
    expect(() => io.add('x', [1])).toThrow(/declared twice/);
    await engine.close();
  });

  it('run a graph once', async () => {
    const { engine } = await chooseEngine('reference');
    const a = { shape: [3], values: [1, 2, 3] };
    const once = evaluation(engine, { a }, ({ a }) => ({ outputs: { double: multiply(a, 2) } }));
    expect([...(await once.run()).double]).toEqual([2, 4, 6]);
    await engine.close();
  });

  it('draw tokens from logits of one’s own', () => {
    const recent = new TokenWindow(4);
    const sampler = new Sampler(3, { temperature: 0, repetitionPenalty: 2, repetitionWindow: 1 });
    const drawn = Array.from({ length: 4 }, () => {
      const id = sampler.sample(Float32Array.of(1, 1.5, 0.9), recent);
      recent.push(id);
      return id;
    });
    expect(drawn).toEqual([1, 0, 1, 0]);
    expect(() => new TokenWindow(0)).toThrow('capacity: expected a whole number');
  });
});

describe('a program of a user', () => {
  let folder = '';
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'xlstm-user-'));
    await mkdir(join(folder, 'node_modules'));
    await symlink(project, join(folder, 'node_modules', 'xlstm'), 'dir');
    await writeFile(join(folder, 'my.txt'), 'The whale swims in the sea, and the sea is wide. '.repeat(40));
  });
  afterAll(() => rm(folder, { recursive: true }));

  it('as the README shows it', async () => {
    const readme = await readFile(join(project, 'README.md'), 'utf8');
    const [, program] = /```js\n([\s\S]*?)```/.exec(readme)!;
    await writeFile(join(folder, 'readme.mjs'), `${program}\nconsole.log('\\nloss', loss);`);
    const { stdout } = await run(process.execPath, ['readme.mjs'], { cwd: folder });
    expect(Number(/\nloss (.*)\n$/.exec(stdout)?.[1])).toBeCloseTo(Math.log(256), 0);
  });
});
