import {
  appendFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { Engine } from '../../compute/engines/engine.ts';
import { createWasmEngine } from '../../compute/engines/wasm/engine.ts';
import { XlstmError } from '../../errors.ts';
import { readRecords } from '../cells/record_file.ts';
import { type CellState, cellsOf, runArena } from './arena.ts';
import type { CellSpec } from './cell.ts';
import { type ArenaOptions, checkedModel, checkedTask } from './options.ts';
import { type CellRunner, inProcesses } from './processes.ts';
import { cellKey, cellRecords } from './records.ts';
import { runCell } from './run_cell.ts';

const options: ArenaOptions = {
  tasks: ['parity', 'even-pairs'],
  models: ['elman', 'lstm'],
  seeds: 1,
  budget: 8000,
  minutes: 10,
  quick: true,
  steps: 2,
  engine: 'wasm',
};
const never = new AbortController().signal;

let folder: string;
let engine: Engine;
beforeAll(async () => {
  engine = await createWasmEngine({ threads: 1 });
});
afterAll(() => engine.close());
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'arena-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

const here: CellRunner = (spec, onProgress) => runCell(spec, engine, onProgress);

const arena = (changes: Partial<ArenaOptions>, runner: CellRunner, signal = never) =>
  runArena({ options: { ...options, ...changes }, folder, jobs: 2, runner, signal });

describe('the arena', () => {
  it('runs every cell once; a second run adds what is new and runs nothing again', async () => {
    const started: CellSpec[] = [];
    const runner: CellRunner = (spec, onProgress, signal) => {
      started.push(spec);
      return here(spec, onProgress, signal);
    };
    const { records, interrupted } = await arena({}, runner);
    expect(interrupted).toBe(false);
    expect(records.map(cellKey).sort()).toEqual(cellsOf(options).map(cellKey).sort());
    expect(records.every(({ status, steps }) => status === 'done' && steps === 2)).toBe(true);
    expect(readFileSync(join(folder, 'report.html'), 'utf8')).toContain('Parity');
    expect(readFileSync(join(folder, 'report.md'), 'utf8')).toContain('Even pairs');
    expect(JSON.parse(readFileSync(join(folder, 'settings.json'), 'utf8'))).toEqual(options);

    started.length = 0;
    const more = await arena({ models: ['elman', 'gru'] }, runner);
    expect(started.map(({ model }) => model)).toEqual(['gru', 'gru']);
    expect(more.records.slice(0, 4)).toEqual(records);
    expect(more.records.length).toBe(6);
  });

  it('goes on after cells that fail, which stay in the results', async () => {
    const { records } = await arena({}, (spec, onProgress, signal) => {
      if (spec.model === 'elman') throw new XlstmError('engine', 'out of memory');
      return here(spec, onProgress, signal);
    });
    expect(records.map(({ model, status }) => `${model} ${status}`).sort()).toEqual([
      'elman failed',
      'elman failed',
      'lstm done',
      'lstm done',
    ]);
    expect(records.find(({ status }) => status === 'failed')?.message).toBe('out of memory');
    expect(readRecords(join(folder, 'results.jsonl'), cellRecords)).toEqual(records);

    const started: CellSpec[] = [];
    const again = await arena({}, (spec, onProgress, signal) => {
      started.push(spec);
      return here(spec, onProgress, signal);
    });
    expect(started.map(({ model }) => model)).toEqual(['elman', 'elman']);
    expect(again.records.map(({ status }) => status)).toEqual(['done', 'done', 'done', 'done']);
  });

  it('keeps what ended before it was stopped, and a second run does the rest', async () => {
    const stop = new AbortController();
    const first = await arena(
      {},
      async (spec, onProgress, signal) => {
        if (spec.task === 'even-pairs') {
          stop.abort();
          throw new Error('ended by a signal');
        }
        return here(spec, onProgress, signal);
      },
      stop.signal,
    );
    expect(first.interrupted).toBe(true);
    expect(first.records.length).toBeLessThan(4);
    expect(first.records.every(({ status }) => status === 'done')).toBe(true);
    expect(readFileSync(join(folder, 'report.html'), 'utf8')).toContain('<');
    expect((await arena({}, here)).records.length).toBe(4);
  });

  it('does not mix results of different settings', async () => {
    await arena({ tasks: ['parity'], models: ['elman'] }, here);
    await expect(arena({ budget: 9000 }, here)).rejects.toThrow('holds results with budget 8000');
    await expect(arena({ engine: 'native' }, here)).rejects.toThrow('holds results with engine "wasm"');
  });

  it.each<[string, Partial<ArenaOptions>, (() => void) | undefined, RegExp]>([
    [
      'a budget below all sizes',
      { budget: 3 },
      undefined,
      /^elman: no size has 3 parameters.* go from \d+ to/,
    ],
    ['a budget above them', { budget: 1e9 }, undefined, /^elman: no size has 1000000000 .* go from \d+ to/],
    [
      'a budget that the last model alone cannot have',
      { models: ['elman', 'xlstm[7:1]'], budget: 700 },
      undefined,
      /^xlstm\[7:1\]: no size has 700 parameters/,
    ],
    [
      'a line that is no record',
      {},
      () => appendFileSync(join(folder, 'results.jsonl'), 'Dear diary\n{"kind":'),
      /results\.jsonl:1: expected the record of a cell, found "Dear diary"/,
    ],
    ['a folder in place of results', {}, () => mkdirSync(join(folder, 'results.jsonl')), /results\.jsonl: /],
    ['a folder in place of settings', {}, () => mkdirSync(join(folder, 'settings.json')), /settings\.json: /],
    [
      'a folder in place of the page',
      {},
      () => mkdirSync(join(folder, 'report.html')),
      /report\.html: expected a file or nothing, found a folder/,
    ],
    [
      'a folder in place of the text',
      {},
      () => mkdirSync(join(folder, 'report.md')),
      /report\.md: expected a file or nothing, found a folder/,
    ],
  ])('refuses before anything runs: %s', async (_, changes, prepare, message) => {
    prepare?.();
    const before = readdirSync(folder);
    let started = 0;
    const runner: CellRunner = (spec, onProgress, signal) => {
      started++;
      return here(spec, onProgress, signal);
    };
    const error = await arena(changes, runner).catch((e: unknown) => e);
    expect(error).toBeInstanceOf(XlstmError);
    expect((error as XlstmError).message).toMatch(message);
    expect((error as XlstmError).code).not.toBe('internal');
    expect(started).toBe(0);
    expect(readdirSync(folder)).toEqual(before);
  });

  it('goes on behind a record that was cut off', async () => {
    const path = join(folder, 'results.jsonl');
    const { records } = await arena({ tasks: ['parity'] }, here);
    const whole = readFileSync(path, 'utf8');
    const lines = whole.split('\n');
    writeFileSync(path, `${lines[0]}\n${lines[1].slice(0, 60)}`);
    const again = await arena({ tasks: ['parity'] }, here);
    expect(again.records.map(cellKey)).toEqual(records.map(cellKey));
    expect(readRecords(path, cellRecords)).toEqual(again.records);
  });

  it('has its folder for itself while it runs', async () => {
    const messages: string[] = [];
    await arena({ tasks: ['parity'], models: ['elman'] }, async (spec, onProgress, signal) => {
      await arena({}, here).catch((error: Error) => messages.push(error.message));
      return here(spec, onProgress, signal);
    });
    expect(messages).toEqual([
      expect.stringContaining(`${folder} is being written by process ${process.pid}`),
    ]);
    expect(existsSync(join(folder, 'lock'))).toBe(false);
    expect((await arena({}, here)).records.length).toBe(4);
  });

  it('reports a process that dies with its cell, and runs the others', async () => {
    const job = join(folder, 'job.mjs');
    writeFileSync(
      job,
      `process.on('message', ({ spec }) => {
        if (spec.model === 'elman') process.kill(process.pid, 'SIGKILL');
        process.stderr.write('out of luck');
        process.exit(7);
      });`,
    );
    const ended: string[] = [];
    const { asked } = await runArena({
      options: { ...options, tasks: ['parity'] },
      folder,
      jobs: 2,
      runner: inProcesses('wasm', 1, pathToFileURL(job)),
      signal: never,
      onChange: ({ model }, state) => {
        if (state.kind === 'ended') ended.push(`${model} ${state.record.status}`);
      },
    });
    expect(ended.sort()).toEqual(['elman failed', 'lstm failed']);
    expect(asked.map(({ task, model, message }) => [task, model, message])).toEqual([
      ['parity', 'elman', 'its process was ended by SIGKILL'],
      ['parity', 'lstm', 'its process ended with exit code 7: out of luck'],
    ]);
  });

  it('runs what measures time last and alone', async () => {
    const events: string[] = [];
    let running = 0;
    const runner: CellRunner = async (spec, onProgress, signal) => {
      running++;
      if (spec.task === 'cost') events.push(`${running} at a time`);
      const record = await here({ ...spec, task: 'parity' }, onProgress, signal);
      running--;
      events.push(spec.task);
      return { ...record, task: spec.task };
    };
    await arena({ tasks: ['cost', 'parity'] }, runner);
    expect(events).toEqual(['parity', 'parity', '1 at a time', 'cost', '1 at a time', 'cost']);
  });

  it('knows its tasks and models by name', () => {
    expect(checkedTask('mqar[128,8]')).toBe('mqar[128,8]');
    expect(() => checkedTask('partiy')).toThrow('no task is called "partiy"');
    expect(checkedModel('xLSTM[1:1]')).toBe('xlstm[1:1]');
    expect(() => checkedModel('llama')).toThrow('no model is called "llama"');
  });
});

describe('cells in processes of their own', () => {
  const runner = inProcesses('wasm', 1, new URL('../../../dist/lab/arena/job.js', import.meta.url));
  const spec: CellSpec = {
    task: 'parity',
    model: 'lstm',
    seed: 1,
    budget: 8000,
    quick: true,
    seconds: 1e6,
    steps: 2,
  };

  it('come to the same result as here', async () => {
    const states: CellState[] = [];
    const there = await runner(spec, (progress) => states.push({ kind: 'running', progress }), never);
    const expected = await runCell(spec, engine);
    expect(there.accuracy).toEqual(expected.accuracy);
    expect(there.curve.map(({ loss }) => loss)).toEqual(expected.curve.map(({ loss }) => loss));
    expect(states.length).toBeGreaterThan(0);
  });

  it('tell what went wrong, and end when they are told to', async () => {
    await expect(runner({ ...spec, budget: 3 }, () => {}, never)).rejects.toThrow('no size has 3 parameters');
    const stop = new AbortController();
    const endless = runner({ ...spec, steps: 1e6 }, () => stop.abort(), stop.signal);
    await expect(endless).rejects.toThrow('was ended by SIGKILL');
  });
});
