import { fileURLToPath } from 'node:url';
import type { Page } from 'playwright-core';
import { pageModule } from '../../../../../test/browser/bundle.ts';
import { launchChromium } from '../../../../../test/browser/chromium.ts';
import { serve } from '../../../../../test/browser/server.ts';
import { bytesOf, type Dtype, dtypes } from '../../../program/dtypes.ts';
import type { EngineLimits } from '../../../program/limits.ts';
import type { Program, Word } from '../../../program/program.ts';
import type { Region } from '../../../program/region.ts';
import type { Engine, Executable, Memory, Values } from '../../engine.ts';
import { boundMemories, CheckedMemory, freedProgram, type Storage } from '../../memory.ts';
import { closedError, Stream } from '../../stream.ts';
import type * as pageSide from './chromium_page.ts';

/** What the page tells of its engine. */
export interface Opened {
  readonly limits: EngineLimits;
  readonly description: string;
}

/** A word, or a place: the region's number, the offset and the extent in bytes. */
export type GivenWord = number | readonly [region: number, offset: number, bytes: number];

/** A Program whose regions are numbers: its workspace, its own memory, then `regions`, which are numbers of memories. */
export interface GivenProgram {
  readonly name: string;
  readonly instructions: readonly (readonly [kernel: string, words: readonly GivenWord[]])[];
  readonly regions: readonly number[];
  readonly workBytes: number;
  readonly ioBytes: number;
}

type PageSide = typeof pageSide;
type Call = <Name extends keyof PageSide>(
  name: Name,
  ...values: Parameters<PageSide[Name]>
) => Promise<Awaited<ReturnType<PageSide[Name]>>>;

/**
 * The webgpu engine of headless Chromium, used from Node: whatever a test does with an engine takes place there. Calls
 * arrive in the order in which they are made.
 */
export async function createChromiumEngine(): Promise<Engine> {
  const script = await pageModule(fileURLToPath(new URL('chromium_page.ts', import.meta.url)));
  const browser = await launchChromium({ gpu: true });
  const site = await serve({ isolated: false, files: new Map([['/engine_page.js', script]]) });
  const page = await browser.newPage();
  await page.goto(`${site.address}/page.html`);
  await page.evaluate(`import('/engine_page.js').then((side) => { globalThis.side = side; })`);
  const call = callsOf(page);
  return new ChromiumEngine(call, await call('open'), async () => {
    await browser.close();
    await site.close();
  });
}

const callsOf =
  (page: Page): Call =>
  (name, ...values) =>
    page.evaluate(
      ([name, values]) =>
        (globalThis as unknown as { side: Record<string, (...values: unknown[]) => never> }).side[name](
          ...values,
        ),
      [name, values] as const,
    );

class ChromiumEngine implements Engine {
  readonly name = 'webgpu';
  readonly threads = 1;
  readonly limits: EngineLimits;
  readonly description: string;
  readonly #stream = new Stream();
  readonly #call: Call;
  readonly #end: () => Promise<void>;
  #closing: Promise<void> | undefined;
  #count = 0;

  constructor(call: Call, { limits, description }: Opened, end: () => Promise<void>) {
    this.#call = call;
    this.limits = limits;
    this.description = description;
    this.#end = end;
  }

  allocate(region: Region): Memory {
    this.#stream.check();
    const storage = new PageStorage(this.#call, this.#count++, region.bytes);
    told(this.#call('allocate', storage.id, region.bytes));
    return new CheckedMemory(region, storage, this.#stream);
  }

  bind(program: Program, memories: readonly Memory[]): Executable {
    this.#stream.check();
    const call = this.#call;
    const bound = boundMemories<PageStorage>(program, memories, this.#stream);
    const places = [program.work, program.io, ...bound.keys()];
    const given = (word: Word): GivenWord =>
      typeof word === 'number' ? word : [places.indexOf(word.region), word.offset, word.bytes];
    const id = this.#count++;
    const own = new PageStorage(call, this.#count++, program.io.bytes);
    const ready = call('bind', id, own.id, {
      name: program.name,
      instructions: program.instructions.map(({ kernel, words }) => [kernel, words.map(given)]),
      regions: [...bound.values()].map(({ storage }) => storage.id),
      workBytes: program.work.bytes,
      ioBytes: program.io.bytes,
    });
    told(ready);
    const io = new CheckedMemory(program.io, own, this.#stream);
    for (const { name, values } of program.constants) io.write(name, values);
    let freed = false;
    const check = (): void => {
      this.#stream.check();
      if (freed) throw freedProgram(program);
    };
    const run = async (): Promise<void> => {
      check();
      await call('run', id);
      await ready;
    };
    const profile = async (): Promise<Float64Array> => {
      check();
      return Float64Array.from(await call('profile', id));
    };
    const free = (): void => {
      if (freed) return;
      freed = true;
      told(call('freeProgram', id));
    };
    return { program, io, run, profile, free, [Symbol.dispose]: free };
  }

  close(): Promise<void> {
    this.#closing ??= this.#stream.end(closedError(this.name)).then(async () => {
      await this.#call('close');
      await this.#end();
    });
    return this.#closing;
  }
}

/** What goes wrong in the page stops the run that follows. */
const told = (promise: Promise<unknown>): void => void promise.catch(() => {});

class PageStorage implements Storage {
  readonly id: number;
  readonly bytes: number;
  readonly #call: Call;

  constructor(call: Call, id: number, bytes: number) {
    this.#call = call;
    this.id = id;
    this.bytes = bytes;
  }

  write(values: ArrayLike<number>, at: number, dtype: Dtype): void {
    if (values.length === 0) return;
    const numbers = dtypes[dtype].array.from(values);
    told(this.#call('write', this.id, at, Buffer.from(numbers.buffer).toString('base64')));
  }

  async read(at: number, count: number, dtype: Dtype): Promise<Values> {
    if (count === 0) return new Float32Array(0);
    const bytes = Buffer.from(await this.#call('read', this.id, at, count), 'base64');
    const numbers = new dtypes[dtype].array(new Uint8Array(bytes).buffer);
    return numbers instanceof Int32Array ? Float64Array.from(numbers) : numbers;
  }

  clear(): void {
    told(this.#call('clear', this.id));
  }

  async lend<T>(work: (values: Values) => T | Promise<T>): Promise<T> {
    const values = await this.read(0, this.bytes / bytesOf('f32'), 'f32');
    const result = await work(values);
    this.write(values, 0, 'f32');
    return result;
  }

  copy(source: PageStorage, from: number, count: number, at: number): void {
    if (count > 0) told(this.#call('copy', this.id, source.id, from, count, at));
  }

  release(): void {
    told(this.#call('free', this.id));
  }
}
