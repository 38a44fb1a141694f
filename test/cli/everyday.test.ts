import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { cp, mkdir, readFile, symlink, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Command } from 'commander';
import { InvalidArgumentError } from 'commander';
import { beforeAll, describe, expect, it, vi } from 'vitest';
import { arenaCommand } from '../../src/cli/commands/arena.ts';
import { benchCommand } from '../../src/cli/commands/bench.ts';
import { doctorCommand } from '../../src/cli/commands/doctor.ts';
import { evalCommand } from '../../src/cli/commands/eval.ts';
import { generateCommand } from '../../src/cli/commands/generate.ts';
import { inspectCommand } from '../../src/cli/commands/inspect.ts';
import { trainCommand } from '../../src/cli/commands/train.ts';
import { verifyCommand } from '../../src/cli/commands/verify.ts';
import { bin, type Ended, SHORT, TINY, tinyOn, workplace } from './command.ts';

vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });

const { path, xlstm } = workplace();
const native = fileURLToPath(new URL('../../dist/native/', import.meta.url));

/** Runs a line of bash; `XLSTM` in it is the program. A command that waits for ever is ended, which fails the test. */
function bash(line: string, env: NodeJS.ProcessEnv = {}): Promise<Ended> {
  const child: ChildProcess = spawn(
    'bash',
    ['-c', line.replaceAll('XLSTM', `'${process.execPath}' '${bin}'`)],
    {
      cwd: path(),
      env: { ...process.env, ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
      timeout: 40_000,
    },
  );
  let stdout = '';
  let stderr = '';
  child.stdout?.on('data', (text) => {
    stdout += text;
  });
  child.stderr?.on('data', (text) => {
    stderr += text;
  });
  return new Promise((resolve) => {
    child.once('close', (code) => resolve({ code, stdout, stderr }));
  });
}

const train = (out: string, ...args: string[]): string[] => [
  'train',
  ...args,
  ...['--steps', '2', '--engine', 'reference', '--out', out],
];
const line = (args: readonly string[]): string => args.map((arg) => `'${arg}'`).join(' ');
const NO_DATA = tinyOn('x').slice(2);
const ARENA =
  'arena --tasks even-pairs --models gru --budget 3k --steps 2 --seeds 1 --minutes 1 --engine wasm --quick --out';

/** The error is one line, perhaps with a hint under it, and no stack. */
function expectOneError({ stderr }: Ended, message: RegExp): void {
  expect(stderr).toMatch(/^error: .+(\n {2}\S.*)?\n(See: .*\n)?$/m);
  expect(stderr).toMatch(message);
  expect(stderr).not.toMatch(/internal error|^ +at |node:internal|Node\.js v/m);
}

beforeAll(async () => {
  const text = await readFile(path('text.txt'), 'utf8');
  for (const folder of ['texts', 'piped', 'folder', 'hollow', 'two']) await mkdir(path(folder));
  await writeFile(path('texts', 'a.txt'), text);
  for (const name of ['a', 'b']) await writeFile(path('two', name), text);
  await writeFile(path('texts', 'empty.txt'), '');
  await writeFile(path('hollow', 'empty.txt'), '');
  await writeFile(path('piped', 'a.txt'), text);
  execFileSync('mkfifo', [path('piped', 'pipe'), path('fifo')]);
  await writeFile(path('null.json'), 'null');
  await writeFile(path('array.json'), '[]');
  // Root may read every file but this one.
  await symlink('/proc/self/mem', path('unreadable'));
  await mkdir(path('report', 'report.html'), { recursive: true });
  expect(await xlstm(train('run', ...TINY))).toMatchObject({ code: 0 });
});

describe('works', () => {
  it.each([
    ['a text from a process', `XLSTM ${line(train('w1'))} --data <(cat text.txt) ${line(NO_DATA)}`],
    [
      'a pipe with a name',
      `(cat text.txt > fifo &) ; XLSTM ${line(train('w2', '--data', 'fifo', ...NO_DATA))}`,
    ],
    ['an empty file among texts', `XLSTM ${line(train('w3', '--data', 'texts', ...NO_DATA))}`],
    ['a text from a process, measured', 'XLSTM eval run <(cat text.txt)'],
    ['a configuration from a process', 'XLSTM inspect <(cat run/checkpoint/config.json)'],
    [
      'a configuration from a process, to train',
      `XLSTM ${line(train('w6', '--data', 'text.txt', ...SHORT))} --config <(cat run/checkpoint/config.json)`,
    ],
    ['a prompt from a process', 'XLSTM generate run --max-tokens 2 --prompt-file <(echo The)'],
    [
      'a host without just-in-time code',
      `'${process.execPath}' --jitless '${bin}' ${line(train('w4', ...TINY))}`,
    ],
    [
      "Node's permission model, without workers",
      `'${process.execPath}' ${permission()} --allow-fs-read=* --allow-fs-write=* '${bin}' ${line(train('w5', ...TINY))}`,
    ],
  ])('%s', async (_, command) => {
    const ended = await bash(command);
    expect(ended, ended.stderr).toMatchObject({ code: 0 });
  });

  it("doctor and arena know what Node's permission model refuses", async () => {
    const node = `'${process.execPath}' ${permission()} --allow-fs-read=* --allow-fs-write=* '${bin}'`;
    const doctor = await bash(`${node} doctor`);
    expect(doctor.stdout).toContain('allows no workers; wasm runs on one thread');
    expect(doctor.stdout).not.toContain('threads on shared memory');
    const arena = await bash(`${node} arena --tasks parity --models lstm --out arena1`);
    expect(arena.code).toBe(1);
    expect(arena.stderr).toContain('each cell in a process of its own');
    expect(arena.stderr).toContain('--allow-child-process');
  });

  it('a text from a process gives the same model as the file', async () => {
    const options = line(NO_DATA);
    await bash(`XLSTM ${line(train('same1'))} --data <(cat text.txt) ${options}`);
    await bash(`XLSTM ${line(train('same2'))} --data text.txt ${options}`);
    const weights = (run: string) => readFile(path(run, 'checkpoint', 'model.safetensors'));
    expect((await weights('same1')).equals(await weights('same2'))).toBe(true);
  });

  it('a text that is cut inside a character ends in a whole one', async () => {
    for (let seed = 1; seed <= 6; seed++) {
      const args = ['--prompt', 'a', '--max-tokens', '3', '--seed', String(seed), '--temperature', '1000'];
      const { code, stdout } = await xlstm(['generate', 'run', ...args, '--json', '--engine', 'reference']);
      expect(code).toBe(0);
      const { text, tokens } = JSON.parse(stdout);
      expect(tokens).toBe(3);
      expect(Buffer.from(text).toString()).toBe(text);
    }
  });
});

describe('is refused in one line', () => {
  it.each<[string, number, RegExp, string]>([
    ['a pipe among texts', 1, /piped\/pipe: expected a file, found a pipe/, 'XLSTM eval run piped'],
    ['a folder of empty texts', 1, /hollow: the folder holds only empty files/, 'XLSTM eval run hollow'],
    ['a file that cannot be read', 1, /unreadable: cannot be read/, 'XLSTM eval run unreadable'],
    ['a folder as prompt', 1, /folder: the folder holds no files/, 'XLSTM generate run --prompt-file folder'],
    [
      'a folder of texts as prompt',
      1,
      /two: expected one file as the prompt, found several/,
      'XLSTM generate run --prompt-file two',
    ],
    ['no model', 2, /expected a path, found an empty argument/, "XLSTM generate '' --prompt a"],
    ['no text', 2, /expected a path, found an empty argument/, "XLSTM eval run text.txt ''"],
    [
      'no text to train on',
      1,
      /expected the path of a text/,
      `XLSTM ${line(train('x', '--data', '', ...NO_DATA))}`,
    ],
    ['a text as model', 1, /text\.txt/, 'XLSTM eval text.txt text.txt'],
    ['no name of a run', 2, /--out <folder>/, `XLSTM ${line(train('', ...TINY))}`],
    ['no name of a run to resume', 2, /--resume <folder>/, "XLSTM train --resume ''"],
    ['a file as run', 1, /text\.txt: cannot be used/, `XLSTM ${line(train('text.txt', ...TINY))}`],
    ['a run below a file', 1, /text\.txt\/x: cannot be/, `XLSTM ${line(train('text.txt/x', ...TINY))}`],
    [
      'a folder nobody may write',
      1,
      /\/sys\/x: cannot be written/,
      `XLSTM ${line(train('/sys/x', ...TINY))}`,
    ],
    [
      'a folder as config',
      1,
      /folder: cannot be read/,
      `XLSTM ${line(train('c', '--data', 'text.txt', ...SHORT))} --config folder`,
    ],
    [
      'null as config',
      1,
      /null\.json: expected an object/,
      `XLSTM ${line(train('c', '--data', 'text.txt', ...SHORT))} --config null.json`,
    ],
    [
      'a list as config',
      1,
      /array\.json: expected an object/,
      `XLSTM ${line(train('c', '--data', 'text.txt', ...SHORT))} --config array.json`,
    ],
    ['a file as folder of the arena', 1, /text\.txt: cannot be written/, `XLSTM ${ARENA} text.txt`],
    ['no name of a folder of the arena', 2, /--out <folder>/, `XLSTM ${ARENA} ''`],
    [
      'a folder where the report goes',
      1,
      /report\.html: expected a file or nothing, found a folder/,
      `XLSTM ${ARENA} report`,
    ],
    ['a penalty', 2, /--repetition-penalty/, 'XLSTM generate run --prompt a --repetition-penalty 1e308'],
    [
      'an address space without room',
      1,
      /ulimit -v/,
      `ulimit -v 1000000; XLSTM train ${line(TINY)} --out small --engine wasm`,
    ],
  ])('%s', async (_, code, message, command) => {
    const ended = await bash(command);
    expectOneError(ended, message);
    expect(ended.code, ended.stderr).toBe(code);
  });
});

it.runIf(existsSync(join(native, 'kernels.so')))(
  'a native library that is cut off is not loaded: wasm takes its place',
  async () => {
    await cp(native, path('cut'), { recursive: true });
    await truncate(path('cut', 'kernels.so'), 100_000);
    const ended = await bash('XLSTM generate run --prompt The --max-tokens 2', {
      XLSTM_NATIVE_FOLDER: path('cut'),
    });
    expect(ended, ended.stderr).toMatchObject({ code: 0 });
    expect(ended.stderr).toMatch(
      /engine {2}wasm.*native is not: the native library is not the file that was built/,
    );
  },
);

it('prints the stack of a fault of its own with XLSTM_DEBUG alone', async () => {
  // A broken standard library stands for a fault.
  await writeFile(path('break.cjs'), "JSON.parse = () => { throw new TypeError('broken\\non purpose'); };");
  const command = `NODE_OPTIONS='--require ${path('break.cjs')}' XLSTM inspect null.json`;
  const plain = await bash(command, { XLSTM_DEBUG: '' });
  expect(plain.code).toBe(1);
  expect(plain.stderr).toMatch(
    /^internal error: broken\n {2}This is a fault of xlstm: please report it.*\n$/,
  );
  expect((await bash(command, { XLSTM_DEBUG: '1' })).stderr).toMatch(/^ +at /m);
});

it('trains where there is no gc, as on hosts other than V8', async () => {
  await writeFile(
    path('no_gc.cjs'),
    "require('node:vm').runInNewContext = (run => code => run('delete globalThis.gc;' + code))(require('node:vm').runInNewContext);",
  );
  const ended = await bash(
    `NODE_OPTIONS='--require ${path('no_gc.cjs')}' XLSTM ${line(train('no_gc', ...TINY))}`,
  );
  expect(ended, ended.stderr).toMatchObject({ code: 0 });
});

describe('options that are numbers', () => {
  const commands = [
    trainCommand(),
    generateCommand(),
    evalCommand(),
    inspectCommand(),
    verifyCommand(),
    doctorCommand(),
    benchCommand(),
    arenaCommand(),
  ];
  const options = commands
    .flatMap(withInner)
    .flatMap((command) =>
      command.options.map((option) => ({ name: `${command.name()} ${option.flags}`, option })),
    )
    .filter(({ option }) => /<(n|rate|f|b|w|t|p)>/.test(option.flags));

  it('are found', () => {
    expect(options.length).toBeGreaterThan(40);
  });

  it.each(options)('$name', ({ option }) => {
    for (const text of ['NaN', '1e308', '-1', '', ' ', 'Infinity', '-Infinity', '0x', '1,5', 'two']) {
      expect(() => option.parseArg?.(text, undefined as never), text).toThrow(InvalidArgumentError);
    }
    expect(option.parseArg).toBeTypeOf('function');
  });
});

function withInner(command: Command): Command[] {
  return [command, ...command.commands.flatMap(withInner)];
}

/** The name of the permission model's option in this Node. */
function permission(): string {
  return process.allowedNodeEnvironmentFlags.has('--permission')
    ? '--permission'
    : '--experimental-permission';
}
