import { oneLine } from '../quote.ts';

/** What a pickle may do besides building texts, whole numbers, dicts and tuples. */
export interface PickleHost {
  /** All that it may name, by "module.name": functions of its list of arguments, or other values. */
  readonly globals: ReadonlyMap<string, unknown>;
  /** It names something else. */
  refuse(name: string): never;
  /** What stands outside the pickle under an id. */
  persistent(id: unknown): unknown;
  /** Told of the bytes that a value will take, before it is made. */
  charge(bytes: number): void;
  fail(problem: string): never;
}

/**
 * What a pickle builds: null, booleans, numbers, texts, dicts, lists, tuples (as arrays) and what the host gives.
 *
 * A pickle is a program for a machine with a stack. Here it is data: nothing that it names is looked up but in the
 * host's `globals`, and nothing runs but the instructions below.
 */
export function readPickle(bytes: Uint8Array, host: PickleHost): unknown {
  const machine = new Machine(bytes, host);
  while (!machine.ended) {
    const code = machine.uint(1);
    const instruction = INSTRUCTIONS[String.fromCharCode(code)];
    if (instruction) instruction(machine);
    else machine.fail(`has instruction ${code}, which nothing in weights needs`);
  }
  return machine.result();
}

/** A dict of the keys that are texts. Most are empty: PyTorch hangs one on each tensor. */
export class PickleDict {
  #entries: Map<string, unknown> | undefined;

  get size(): number {
    return this.#entries?.size ?? 0;
  }

  get entries(): ReadonlyMap<string, unknown> {
    this.#entries ??= new Map();
    return this.#entries;
  }

  set(key: string, value: unknown): void {
    this.#entries ??= new Map();
    this.#entries.set(key, value);
  }
}

/** The first items of a list: what configurations hold is short, and of the others nobody asks. */
export class PickleList {
  static readonly MOST = 256;
  #items: unknown[] | undefined;
  /** Whether it has more than are kept. */
  isCut = false;

  get items(): readonly unknown[] {
    return this.#items ?? [];
  }

  push(value: unknown): void {
    this.#items ??= [];
    this.#items.push(value);
  }
}

/** Those that Python writes for such values, in protocols 2 to 5, by their codes. */
const INSTRUCTIONS: Readonly<Record<string, (m: Machine) => void>> = {
  '\x80': (m) => m.checkProtocol(m.uint(1)),
  '\x95': (m) => m.take(8), // the length of a part
  '.': (m) => m.end(),
  '(': (m) => m.mark(),
  '0': (m) => m.pop(),
  '1': (m) => m.drop(m.takeMark()),

  N: (m) => m.push(null),
  '\x88': (m) => m.push(true),
  '\x89': (m) => m.push(false),
  K: (m) => m.push(m.uint(1)),
  M: (m) => m.push(m.uint(2)),
  J: (m) => m.push(m.long(4)),
  '\x8a': (m) => m.push(m.long(m.uint(1))),
  G: (m) => m.push(m.fraction()),
  X: (m) => m.push(m.text(m.uint(4))),
  '\x8c': (m) => m.push(m.text(m.uint(1))),

  ')': (m) => m.tuple(0),
  '\x85': (m) => m.tuple(1),
  '\x86': (m) => m.tuple(2),
  '\x87': (m) => m.tuple(3),
  t: (m) => m.tuple(m.takeMark()),
  ']': (m) => m.list(),
  a: (m) => m.append(1),
  e: (m) => m.append(m.takeMark()),
  '}': (m) => m.dict(),
  s: (m) => m.setItems(2),
  u: (m) => m.setItems(m.takeMark()),

  h: (m) => m.get(m.uint(1)),
  j: (m) => m.get(m.uint(4)),
  q: (m) => m.put(m.uint(1)),
  r: (m) => m.put(m.uint(4)),
  '\x94': (m) => m.memoize(),

  c: (m) => m.global(m.line(), m.line()),
  '\x93': (m) => {
    const name = m.pop();
    m.global(m.pop(), name);
  },
  R: (m) => m.call(),
  b: (m) => m.build(),
  Q: (m) => m.persistent(),
};

/**
 * What V8 holds for a place on the stack, a dict and the table of one that has entries, an entry, a tuple, a text, and
 * a number beyond 31 bits; while arrays grow both are counted.
 */
const BYTES = {
  place: 24,
  dict: 48,
  table: 200,
  entry: 80,
  tuple: 56,
  text: 64,
  number: 16,
  list: 40,
  items: 64,
};

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

class Machine {
  ended = false;
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  readonly #host: PickleHost;
  #at = 0;
  /** Values, of which the first `#depth` count: what was taken off stays until it is written over. */
  readonly #stack: unknown[] = [];
  #depth = 0;
  readonly #marks: number[] = [];
  #mostMarks = 0;
  readonly #memo: unknown[] = [];

  constructor(bytes: Uint8Array, host: PickleHost) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#host = host;
  }

  fail(problem: string): never {
    return this.#host.fail(`the pickle ${problem} (before byte ${this.#at} of it)`);
  }

  end(): void {
    this.ended = true;
    if (this.#depth !== 1 || this.#marks.length > 0) this.fail('ends with other than one value');
  }

  result(): unknown {
    return this.#stack[0];
  }

  // What it is made of.

  /** The place of the next bytes, which are there. */
  take(bytes: number): number {
    const at = this.#at;
    if (at + bytes > this.#bytes.length) this.fail('is cut off');
    this.#at += bytes;
    return at;
  }

  uint(bytes: 1 | 2 | 4): number {
    const at = this.take(bytes);
    if (bytes === 1) return this.#bytes[at];
    return bytes === 2 ? this.#view.getUint16(at, true) : this.#view.getUint32(at, true);
  }

  /** A whole number in two's complement; rounded where it has more than 53 bits. */
  long(bytes: number): number {
    const at = this.take(bytes);
    this.#host.charge(BYTES.number);
    const isNegative = bytes > 0 && this.#bytes[at + bytes - 1] >= 128;
    let value = 0;
    // Of −1 − n the bits are those of n, inverted.
    for (let i = bytes - 1; i >= 0; i--) {
      value = 256 * value + (isNegative ? 255 - this.#bytes[at + i] : this.#bytes[at + i]);
    }
    return isNegative ? -1 - value : value;
  }

  fraction(): number {
    const at = this.take(8);
    this.#host.charge(BYTES.number);
    return this.#view.getFloat64(at, false);
  }

  text(bytes: number): string {
    const at = this.take(bytes);
    this.#host.charge(BYTES.text + 2 * bytes);
    try {
      return utf8.decode(this.#bytes.subarray(at, at + bytes));
    } catch {
      return this.fail('has a text that is no UTF-8');
    }
  }

  line(): string {
    const end = this.#bytes.indexOf(0x0a, this.#at);
    if (end < 0) this.fail('is cut off');
    const text = this.text(end - this.#at);
    this.take(1);
    return text;
  }

  checkProtocol(version: number): void {
    if (version < 2 || version > 5) this.fail(`has protocol ${version}, expected one from 2 to 5`);
  }

  // The stack.

  push(value: unknown): void {
    if (this.#depth === this.#stack.length) this.#host.charge(BYTES.place);
    this.#stack[this.#depth++] = value;
  }

  /** Values that can be taken: those below a mark cannot. */
  #available(): number {
    return this.#depth - (this.#marks.at(-1) ?? 0);
  }

  /** The last value but so many. */
  #peek(below = 0): unknown {
    if (below >= this.#available()) this.fail('takes a value that is not there');
    return this.#stack[this.#depth - 1 - below];
  }

  pop(): unknown {
    const value = this.#peek();
    this.#depth--;
    return value;
  }

  drop(count: number): void {
    this.#depth -= count;
  }

  mark(): void {
    if (this.#marks.length === this.#mostMarks) {
      this.#host.charge(BYTES.place);
      this.#mostMarks++;
    }
    this.#marks.push(this.#depth);
  }

  /** How many values lie above the last mark, which is taken away. */
  takeMark(): number {
    if (this.#marks.length === 0) this.fail('takes a mark that is not there');
    const count = this.#available();
    this.#marks.pop();
    return count;
  }

  // What is built.

  tuple(count: number): void {
    if (count > this.#available()) this.fail('takes a value that is not there');
    this.#host.charge(BYTES.tuple + 8 * count);
    const items = this.#stack.slice(this.#depth - count, this.#depth);
    this.drop(count);
    this.push(items);
  }

  list(): void {
    this.#host.charge(BYTES.list);
    this.push(new PickleList());
  }

  append(count: number): void {
    const list = this.#peek(count);
    if (!(list instanceof PickleList)) this.fail('appends to other than a list');
    const kept = Math.min(count, PickleList.MOST - list.items.length);
    if (kept < count) list.isCut = true;
    for (let i = this.#depth - count; i < this.#depth - count + kept; i++) {
      this.#host.charge(list.items.length === 0 ? BYTES.items : BYTES.place);
      list.push(this.#stack[i]);
    }
    this.drop(count);
  }

  dict(): void {
    this.#host.charge(BYTES.dict);
    this.push(new PickleDict());
  }

  setItems(count: number): void {
    const dict = this.#peek(count);
    if (!(dict instanceof PickleDict)) this.fail('sets an item of other than a dict');
    if (count % 2 !== 0) this.fail('sets a key without a value');
    for (let i = this.#depth - count; i < this.#depth; i += 2) {
      const key = this.#stack[i];
      if (typeof key !== 'string') continue;
      this.#host.charge(dict.size === 0 ? BYTES.table : BYTES.entry);
      dict.set(key, this.#stack[i + 1]);
    }
    this.drop(count);
  }

  // Values that are used again.

  get(index: number): void {
    if (index >= this.#memo.length) this.fail(`uses value ${index} of ${this.#memo.length} again`);
    this.push(this.#memo[index]);
  }

  /** Python numbers them from 0 on. */
  put(index: number): void {
    if (index > this.#memo.length) this.fail(`numbers a value ${index} after ${this.#memo.length} of them`);
    if (index === this.#memo.length) this.#host.charge(BYTES.place);
    this.#memo[index] = this.#peek();
  }

  memoize(): void {
    this.put(this.#memo.length);
  }

  // What lies outside.

  global(module: unknown, name: unknown): void {
    if (typeof module !== 'string' || typeof name !== 'string') this.fail('names a thing by no text');
    const full = `${module}.${name}`;
    const { globals } = this.#host;
    if (!globals.has(full)) this.#host.refuse(/^[\w.]+$/.test(full) ? oneLine(full, 200) : oneLine(full, 40));
    this.push(globals.get(full));
  }

  call(): void {
    const args = this.pop();
    const callee = this.pop();
    if (typeof callee !== 'function' || !Array.isArray(args)) this.fail('calls what is no function');
    this.push(callee(args));
  }

  /** Attributes: PyTorch hangs the versions of modules on a state dict. */
  build(): void {
    this.pop();
    if (!(this.#peek() instanceof PickleDict)) this.fail('gives attributes to other than a dict');
  }

  persistent(): void {
    this.push(this.#host.persistent(this.pop()));
  }
}
