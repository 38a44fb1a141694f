import { execFile } from 'node:child_process';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, it } from 'vitest';

const run = promisify(execFile);
const project = fileURLToPath(new URL('../../', import.meta.url));

let folder = '';
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'xlstm-api-'));
});
afterAll(() => rm(folder, { recursive: true }));

it('the API reference builds without a warning: every public name has a comment', {
  timeout: 240_000,
}, async () => {
  // As `npm run docs`, into a folder of the test's.
  const typedoc = join(project, 'node_modules/typedoc/bin/typedoc');
  const { stdout, stderr } = await run(process.execPath, [typedoc, '--out', folder], { cwd: project });
  expect(stdout + stderr).not.toContain('warning');
  expect(await readdir(join(folder, 'modules'))).toEqual(
    expect.arrayContaining([
      'xlstm.html',
      'xlstm_graph.html',
      'xlstm_nn.html',
      'xlstm_node.html',
      'xlstm_forecasting.html',
      'xlstm_onnx.html',
    ]),
  );
  expect(await readdir(join(folder, 'classes'))).toContain('xlstm.SequenceModel.html');
  // A parameter that is taken apart where it is declared has its name from an @param tag.
  const pages = (await readdir(folder, { recursive: true })).filter((name) => name.endsWith('.html'));
  const texts = await Promise.all(pages.map((page) => readFile(join(folder, page), 'utf8')));
  expect(pages.filter((_, i) => texts[i].includes('__namedParameters'))).toEqual([]);
});
