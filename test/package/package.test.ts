import { execFile } from 'node:child_process';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import ts from 'typescript';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { installPacked, type PackedFile, project } from './packed.ts';

const run = promisify(execFile);
const TIMEOUT = 120_000;

/** Of a user who builds for browsers: no types of Node, the compiler's own choice of libraries. */
const anywhere = `
import { createModel, SequenceModel, type Tokenizer, windows, XlstmError } from 'xlstm';
import { add, type Tensor } from 'xlstm/graph';
import { Linear } from 'xlstm/nn';
export async function fit(): Promise<number> {
  const model = await SequenceModel.create({ inputs: 1, outputs: 1 });
  const { epochs } = await model.fit(windows({ inputs: [[1], [2]], targets: [1, 2] }, { length: 2, horizon: 0 }));
  model.free();
  // @ts-expect-error: the types are those of the package, not any
  model.fit(1);
  return epochs.length;
}
export const sum: (a: Tensor, b: Tensor) => Tensor = add;
export { createModel, Linear, type Tokenizer, XlstmError };
`;
const inNode = `${anywhere}\nexport { loadCheckpoint } from 'xlstm/node';\n`;
const required = `
import xlstm = require('xlstm');
import node = require('xlstm/node');
export const names: readonly string[] = xlstm.architectureNames();
export const load: typeof node.loadCheckpoint = node.loadCheckpoint;
`;

describe('the packed package', () => {
  let folder = '';
  let files: readonly PackedFile[];
  beforeAll(async () => {
    ({ folder, files } = await installPacked());
    await mkdir(join(folder, 'no-types'));
  }, TIMEOUT);
  afterAll(() => rm(folder, { recursive: true, force: true }));

  it('has what runs, and what builds the native library on the spot', () => {
    const paths = new Set(files.map(({ path }) => path));
    for (const path of [
      'LICENSE',
      'README.md',
      'bin/xlstm.js',
      'dist/corpora/moby-dick.json.gz',
      'dist/index.js',
      'dist/index.d.ts',
      'dist/wasm/relaxed.wasm',
      'dist/wasm/simd.wasm',
      'dist/web/jinja.js',
      'dist/web/tokenizers.js',
      'dist/web/xlstm.js',
      'kernels/generated/kernels.h',
      'kernels/native.cc',
      'models/forecaster-tiny/config.json',
      'models/forecaster-tiny/model.safetensors',
      'scripts/files.js',
      'scripts/native.js',
    ]) {
      expect(paths, path).toContain(path);
    }
    const odd = [...paths].filter((path) =>
      /(^|\/)(src|test|testing|native-sanitized)\/|\.test\.|\.(so|dylib|dll|hash)$/.test(path),
    );
    expect(odd).toEqual([]);
    expect(files.reduce((sum, { size }) => sum + size, 0)).toBeLessThan(13e6);
  });

  it.each([
    ['node16', { 'user.mts': anywhere }, []],
    ['nodenext', { 'node.mts': inNode, 'node.cts': required }, ['node']],
    ['bundler', { 'user.ts': anywhere }, []],
  ])(
    'has types under moduleResolution %s, declarations checked',
    async (moduleResolution, sources, types) => {
      for (const [name, text] of Object.entries(sources)) await writeFile(join(folder, name), text);
      const names = Object.keys(sources).map((name) => join(folder, name));
      const { options } = ts.convertCompilerOptionsFromJson(
        {
          module: moduleResolution === 'bundler' ? 'esnext' : moduleResolution,
          moduleResolution,
          target: 'es2022',
          strict: true,
          noEmit: true,
          skipLibCheck: false,
          types,
          typeRoots: [join(project, 'node_modules/@types')],
        },
        folder,
      );
      const program = ts.createProgram(names, options);
      const messages = ts.formatDiagnostics(ts.getPreEmitDiagnostics(program), {
        getCanonicalFileName: (path) => path,
        getCurrentDirectory: () => folder,
        getNewLine: () => '\n',
      });
      expect(messages).toBe('');
    },
    TIMEOUT,
  );

  // Node from 20.19 and 22.12 on requires modules, of which none may await at its top level.
  it.runIf('require_module' in process.features)('can be required', async () => {
    const program = `
      const { SequenceModel } = require('xlstm');
      const entries = ['xlstm', 'xlstm/nn', 'xlstm/graph', 'xlstm/node'].map((name) => Object.keys(require(name)).length);
      console.log(JSON.stringify({ entries, model: typeof SequenceModel.create }));`;
    const { stdout } = await run(process.execPath, ['-e', program], { cwd: folder });
    const { entries, model } = JSON.parse(stdout);
    expect(model).toBe('function');
    for (const names of entries) expect(names).toBeGreaterThan(10);
  });
});
