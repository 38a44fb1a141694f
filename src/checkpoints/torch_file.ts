import { XlstmError } from '../errors.ts';
import { quote } from '../quote.ts';
import { PickleDict, PickleList, readPickle } from './pickle.ts';
import { DTYPES, type Dtype, isSizes, type StoredTensor, storedTensor } from './stored_tensor.ts';
import { readStoredZip, type ZipEntry } from './zip.ts';

/** What a file of PyTorch holds of tensors. */
export interface TorchFile {
  /** Under the names of the state dict, in its order. */
  readonly tensors: ReadonlyMap<string, StoredTensor>;
  /** What Lightning saved of the model's configuration beside them, as JSON; undefined where there is none. */
  readonly hyperParameters: Readonly<Record<string, unknown>> | undefined;
}

/** PyTorch's names of the types of storages. */
const STORAGES: Readonly<Record<string, Dtype>> = {
  ...{ DoubleStorage: 'F64', FloatStorage: 'F32', HalfStorage: 'F16', BFloat16Storage: 'BF16' },
  ...{ LongStorage: 'I64', IntStorage: 'I32', ShortStorage: 'I16', CharStorage: 'I8' },
  ...{ ByteStorage: 'U8', BoolStorage: 'BOOL' },
};

/** What reading may take beyond the file's own size, of which a part is taken by any file. */
const SLACK = 2 ** 20 - 2 ** 16;

/** What V8 holds for an entry of the archive, an OrderedDict, a storage, a tensor, and all of a tensor under its name. */
const BYTES = { entry: 208, dict: 48, storage: 56, tensor: 128, named: 768 };

const SAVE = 'Save the weights alone: torch.save(model.state_dict(), path).';
const NOT_SAVED = 'The file is damaged, or no file of torch.save: those of torch.jit.save are programs.';
const AGAIN =
  'Load it with PyTorch and save it again, torch.save(torch.load(path), path), or convert it to safetensors.';

/**
 * Reads what PyTorch's `torch.save` writes (.pt, .pth, .bin) and Lightning's checkpoints (.ckpt): a zip archive of a
 * pickle and of storages. The tensors are those of the state dict: the one that the saved dict holds, under `state_dict`
 * if there are several, or else the saved dict itself. Tensors may share a storage, begin anywhere in it and have any strides.
 *
 * Nothing in the file is run. Tensors, numbers, texts, None, dicts, lists and tuples are read; a file that asks for
 * anything else, such as a pickled module, is refused and told what it asked for. What is compressed is refused, too;
 * reading takes less memory than the file's size plus 1 MB, and copies no tensor. Throws a checkpoint error that begins
 * with `source`. The tensors refer to `bytes`, which must stay as it is while they are in use.
 */
export function parseTorchFile(bytes: Uint8Array, source = 'PyTorch data'): TorchFile {
  const fail = (problem: string, hint = NOT_SAVED): never => {
    throw new XlstmError('checkpoint', `${source}: ${problem}`, hint);
  };
  let left = bytes.length + SLACK;
  const charge = (amount: number): void => {
    left -= amount;
    if (left >= 0) return;
    fail(
      'expected weights, found values that would take more memory than the file has bytes',
      'Save the weights alone; many small tensors as safetensors.',
    );
  };
  checkStart(bytes, fail);
  const entries = readStoredZip(bytes, fail, (name) => charge(BYTES.entry + 2 * name));
  const folder = findFolder(entries, fail);
  const content = (name: string): Uint8Array | undefined => {
    const entry = entries.get(`${folder}/${name}`);
    return entry && bytes.subarray(entry.begin, entry.end);
  };
  const order = new TextDecoder().decode(content('byteorder')?.subarray(0, 20));
  if (order !== '' && order !== 'little') {
    fail(`expected bytes in little-endian order, found ${quote(order)}`, 'Save it on another machine.');
  }
  const beforePickle = left;
  const root = readPickle(content('data.pkl') as Uint8Array, {
    globals: globals(charge, fail),
    persistent: (id) => {
      charge(BYTES.storage);
      return storageOf(id, (key) => entries.get(`${folder}/data/${key}`), fail);
    },
    refuse: (name) =>
      fail(
        `expected tensors, numbers, texts, dicts and lists; the file asks to run ${name}`,
        `It was not run. ${SAVE}`,
      ),
    charge,
    fail,
  });
  // Of what the pickle built the tensors are kept, and counted again.
  left = beforePickle;
  const tensors = new Map<string, StoredTensor>();
  for (const [name, tensor] of stateDict(root, fail)) {
    if (!(tensor instanceof Tensor)) continue;
    charge(BYTES.named);
    const at = (): string => `${source}: tensor ${quote(name)}`;
    const read = (begin: number, end: number): Uint8Array => elements(bytes, tensor).subarray(begin, end);
    tensors.set(name, storedTensor(at, tensor.storage.dtype, tensor.shape, read));
  }
  const given = root instanceof PickleDict ? root.entries.get('hyper_parameters') : undefined;
  const hyperParameters =
    given instanceof PickleDict
      ? (asJson(given, { values: MOST_VALUES }, fail) as Record<string, unknown>)
      : undefined;
  return { tensors, hyperParameters };
}

/** A configuration has fewer values; what refers to itself would have any number. */
const MOST_VALUES = 10_000;

/** Dicts as objects, lists and tuples as arrays; what is no data is null. */
function asJson(value: unknown, left: { values: number }, fail: Fail): unknown {
  if (left.values-- === 0) fail('expected hyper_parameters of a configuration, found too many of them', SAVE);
  if (value instanceof PickleDict)
    return Object.fromEntries([...value.entries].map(([key, held]) => [key, asJson(held, left, fail)]));
  if (value instanceof PickleList || Array.isArray(value)) {
    const items: readonly unknown[] = Array.isArray(value) ? value : value.items;
    return items.map((item) => asJson(item, left, fail));
  }
  const isData = typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean';
  return isData ? value : null;
}

type Fail = (problem: string, hint?: string) => never;

/** A pickle begins so that starts with the number that PyTorch before 1.6 began its files with. */
const LEGACY = [0x80, 2, 0x8a, 10];
const LOCAL_FILE = [0x50, 0x4b, 3, 4];
const TAR = { at: 257, text: [...'ustar'].map((letter) => letter.charCodeAt(0)) };

function checkStart(bytes: Uint8Array, fail: Fail): void {
  const has = (at: number, part: readonly number[]): boolean =>
    part.every((byte, i) => bytes[at + i] === byte);
  if (has(0, LEGACY) || has(TAR.at, TAR.text)) {
    fail('expected a zip archive, found the format of PyTorch before 1.6', AGAIN);
  }
  if (!has(0, LOCAL_FILE)) fail('expected a zip archive of torch.save, found something else');
}

/** All files lie in one folder; its name is that of the file that was saved. */
function findFolder(entries: ReadonlyMap<string, ZipEntry>, fail: Fail): string {
  const folders = [...entries.keys()].flatMap((name) => /^([^/]*)\/data\.pkl$/.exec(name)?.[1] ?? []);
  if (folders.length === 1) return folders[0];
  return fail(`expected one data.pkl in the archive, found ${folders.length}`);
}

/** What PyTorch calls the class of a storage. */
class ElementType {
  readonly dtype: Dtype;

  constructor(dtype: Dtype) {
    this.dtype = dtype;
  }
}

/** Elements of a type in the file. */
class Storage {
  readonly dtype: Dtype;
  readonly begin: number;
  readonly length: number;

  constructor(dtype: Dtype, begin: number, length: number) {
    this.dtype = dtype;
    this.begin = begin;
    this.length = length;
  }
}

/** Elements of a storage: the one at i, j, … is number offset + i · strides[0] + j · strides[1] + … of it. */
class Tensor {
  readonly storage: Storage;
  readonly offset: number;
  readonly shape: readonly number[];
  readonly strides: readonly number[];

  constructor(storage: Storage, offset: number, shape: readonly number[], strides: readonly number[]) {
    this.storage = storage;
    this.offset = offset;
    this.shape = shape;
    this.strides = strides;
  }
}

const isSize = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0;

/** ('storage', type, key, location, number of elements) */
function storageOf(id: unknown, find: (key: string) => ZipEntry | undefined, fail: Fail): Storage {
  const parts: readonly unknown[] = Array.isArray(id) ? id : [];
  const type = parts[1];
  const key = parts[2];
  const length = parts[4];
  if (
    parts[0] !== 'storage' ||
    !(type instanceof ElementType) ||
    typeof key !== 'string' ||
    !isSize(length)
  ) {
    return fail('a storage is described by other than its type, key, place and size');
  }
  const { dtype } = type;
  const entry = find(key);
  if (!entry) return fail(`storage ${quote(key)} is not in the archive`);
  const size = entry.end - entry.begin;
  if (length * DTYPES[dtype] > size) {
    fail(`storage ${quote(key)}: expected ${length} elements of ${DTYPES[dtype]} bytes, found ${size} bytes`);
  }
  return new Storage(dtype, entry.begin, length);
}

/** What a state dict needs, and nothing else. */
function globals(charge: (bytes: number) => void, fail: Fail): ReadonlyMap<string, unknown> {
  const types = Object.entries(STORAGES).map(
    ([name, dtype]) => [`torch.${name}`, new ElementType(dtype)] as const,
  );
  const functions: [string, (args: readonly unknown[]) => unknown][] = [
    [
      'collections.OrderedDict',
      (args) => {
        if (args.length > 0) fail('an OrderedDict is made of what it should be given item by item');
        charge(BYTES.dict);
        return new PickleDict();
      },
    ],
    ['torch.Size', (args) => (isSizes(args[0]) ? args[0] : fail('a torch.Size is no list of sizes'))],
    [
      'torch._utils._rebuild_parameter',
      (args) => (args[0] instanceof Tensor ? args[0] : fail('a parameter is made of no tensor')),
    ],
    [
      'torch._utils._rebuild_tensor_v2',
      (args) => {
        charge(BYTES.tensor);
        // Of args, 4 and 5 are about gradients; 6 says that the elements stand for others: negated, conjugate.
        if (args[6] instanceof PickleDict && args[6].size > 0) {
          fail(
            'a tensor is the negative or conjugate of its storage',
            'Save it as tensor.resolve_neg().resolve_conj().',
          );
        }
        return tensorOf(args[0], args[1], args[2], args[3], fail);
      },
    ],
  ];
  return new Map<string, unknown>([...types, ...functions]);
}

/** PyTorch has no more. */
const MAX_DIMENSIONS = 64;

function tensorOf(storage: unknown, offset: unknown, shape: unknown, strides: unknown, fail: Fail): Tensor {
  if (
    !(storage instanceof Storage && isSize(offset) && isSizes(shape) && isSizes(strides)) ||
    shape.length !== strides.length ||
    shape.length > MAX_DIMENSIONS
  ) {
    return fail('a tensor is described by other than a storage, an offset, its shape and strides');
  }
  const text = (): string =>
    `a tensor of shape ${quote(shape)}, strides ${quote(strides)} and offset ${offset}`;
  if (shape.includes(0)) return new Tensor(storage, 0, shape, strides);
  const count = shape.reduce((product, n) => product * n, 1);
  const last = shape.reduce((sum, n, d) => sum + (n - 1) * strides[d], offset);
  if (last >= storage.length) fail(`${text()} goes beyond its storage of ${storage.length} elements`);
  if (count > storage.length) {
    fail(
      `${text()} repeats the elements of its storage, of which there are ${storage.length}`,
      'Save it as tensor.contiguous().',
    );
  }
  // Where a dimension has one element its stride is never taken, whatever it is; the others' lie within the storage.
  const taken = strides.map((stride, d) => (shape[d] === 1 ? 0 : stride));
  return new Tensor(storage, offset, shape, taken);
}

/** The bytes of a tensor's elements row by row: where they lie so in the file, no copy. */
function elements(bytes: Uint8Array, { storage, offset, shape, strides }: Tensor): Uint8Array {
  const size = DTYPES[storage.dtype];
  const count = shape.reduce((product, n) => product * n, 1);
  const begin = storage.begin + offset * size;
  let expected = 1;
  let isInOrder = true;
  for (let d = shape.length - 1; d >= 0; d--) {
    if (shape[d] !== 1 && strides[d] !== expected) isInOrder = false;
    expected *= shape[d];
  }
  if (isInOrder || count === 0) return bytes.subarray(begin, begin + count * size);

  const rows = new Uint8Array(count * size);
  const index = new Array<number>(shape.length).fill(0);
  let from = begin;
  for (let to = 0; to < rows.length; to += size) {
    for (let i = 0; i < size; i++) rows[to + i] = bytes[from + i];
    for (let d = shape.length - 1; d >= 0; d--) {
      from += strides[d] * size;
      if (++index[d] < shape[d]) break;
      index[d] = 0;
      from -= shape[d] * strides[d] * size;
    }
  }
  return rows;
}

/**
 * The dict of tensors by name: one that the saved dict holds beside other things, or else the saved dict. What modules
 * save besides their tensors (`_extra_state`) may hold some, too, and is none.
 */
function stateDict(root: unknown, fail: Fail): ReadonlyMap<string, unknown> {
  const found = new Map<string, PickleDict>();
  for (const [key, value] of root instanceof PickleDict ? root.entries : []) {
    if (!key.endsWith('_extra_state') && holdsTensors(value)) found.set(key, value);
  }
  const [first] = found.values();
  const only = found.size === 1 ? first : found.get('state_dict');
  if (only) return only.entries;
  if (found.size > 1) {
    const names = [...found.keys()].slice(0, 5).map((key) => quote(key, 40));
    return fail(
      `expected one dict of tensors by name, found ${found.size}: ${names.join(', ')}`,
      'Save the one that is meant: torch.save(saved[name], path).',
    );
  }
  if (holdsTensors(root)) return root.entries;
  return fail('expected a dict of tensors by name, found none', SAVE);
}

function holdsTensors(value: unknown): value is PickleDict {
  if (!(value instanceof PickleDict)) return false;
  for (const held of value.entries.values()) if (held instanceof Tensor) return true;
  return false;
}
