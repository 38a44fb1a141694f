import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { Engine } from '../engine/engine.ts';
import { createWasmEngine } from '../engine/wasm.ts';
import { XlstmError } from '../errors.ts';
import { type ArenaOptions, type CellState, cellsOf, checkedModel, checkedTask, runArena } from './arena.ts';
import { type CellSpec, runCell } from './cell.ts';
import { type CellRunner, inProcesses } from './processes.ts';
import { cellKey, readRecords } from './records.ts';

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
    expect(readRecords(join(folder, 'results.jsonl'))).toEqual(records);

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
  const runner = inProcesses('wasm', 1, new URL('../../dist/arena/job.js', import.meta.url));
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
