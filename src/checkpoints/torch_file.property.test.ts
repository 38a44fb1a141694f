import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { collectGarbage } from '../cli/collect_garbage.ts';
import { XlstmError } from '../errors.ts';
import { allocated, checkReader, expectFrugal, outcome, RUNS } from '../testing/foreign.ts';
import { mutatedBytes } from '../testing/mutate.ts';
import { type PickleHost, readPickle } from './pickle.ts';
import { joined, pickle, type TensorParts, tensor, torchFile, zip } from './testing/torch.ts';
import { parseTorchFile, type TorchFile } from './torch_file.ts';

const SOURCE = 'weights.pt';
const { raw, text, dict, tuple, int, global } = pickle;
const parse = (bytes: Uint8Array): TorchFile => parseTorchFile(bytes, SOURCE);

const golden = ['tensors.pt', 'lightning.ckpt', 'xlstm/pytorch_model.bin'].map((name) => {
  const path = new URL(`../../test/golden/torch/${name}`, import.meta.url);
  return new Uint8Array(readFileSync(path));
});

const SIZES: Readonly<Record<string, number>> = {
  ...{ F64: 8, F32: 4, F16: 2, BF16: 2, I64: 8, I32: 4, I16: 2, I8: 1, U8: 1, BOOL: 1 },
};

/** What is taken for whole gives as many elements as its shape says, none of which takes more than the file has. */
function checkSound({ tensors }: TorchFile, bytes: Uint8Array): void {
  for (const [name, { dtype, shape, read }] of tensors) {
    expect(typeof name).toBe('string');
    const size = shape.reduce((product, n) => product * BigInt(n), 1n);
    expect(size * BigInt(SIZES[dtype])).toBeLessThan(bytes.length);
    expect(BigInt(read().length)).toBe(size);
  }
}

/** The pickle of a real file, and its storages. */
const storages = { 0: new Uint8Array(96).map((_, i) => 37 * i), 1: new Uint8Array(0) };
const matrix = tensor({ length: 24, offset: 1, shape: [2, 3], strides: [3, 1] });
const programs = [
  pickle.of(dict(text('w'), matrix, text('n'), raw('NG@\x09!\xfbTD-\x18K\x01M\x01\x02]q\x00(h\x00K\x01e'))),
  pickle.of(dict(text('state_dict'), dict(text('model.w'), matrix), text('epoch'), raw('J\x01\x02\x03\x04'))),
  pickle.of(
    dict(text('a'), matrix),
    dict(text('_metadata'), pickle.call(global('collections', 'OrderedDict'))),
    raw('b'),
  ),
  pickle.of(
    dict(
      text('s'),
      tensor({ type: 'HalfStorage', length: 48, shape: [4, 2], strides: [1, 4] }),
      raw('\x88\x89'),
    ),
  ),
];

/** Instructions in any order, which begin like those of a file. */
const instruction = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.constantFrom(
      ...[
        'N',
        '\x88',
        '\x89',
        ')',
        ']',
        '}',
        '(',
        '0',
        '1',
        't',
        '\x85',
        '\x86',
        '\x87',
        'a',
        'e',
        's',
        'u',
      ].map(raw),
      ...['R', 'b', 'Q', '.', '\x94', '\x93', '\x81', 'I1\n', 'h\x00', 'h\x01', 'q\x00', 'q\x01'].map(raw),
    ),
  },
  {
    weight: 3,
    arbitrary: fc.constantFrom(
      ...[
        text('w'),
        text('storage'),
        text('0'),
        text('os'),
        matrix,
        dict(text('w'), matrix),
        int(-1),
        int(2 ** 53),
      ],
      ...[
        global('torch', 'FloatStorage'),
        global('torch', 'Size'),
        global('torch._utils', '_rebuild_parameter'),
      ],
      ...[
        global('torch._utils', '_rebuild_tensor_v2'),
        global('collections', 'OrderedDict'),
        tuple(int(2), int(3)),
      ],
      ...[global('os', 'system'), global('__builtin__', 'getattr')],
    ),
  },
  { weight: 1, arbitrary: fc.uint8Array({ maxLength: 12 }) },
);
const program = fc
  .tuple(fc.array(instruction, { maxLength: 12 }), fc.constantFrom(dict(text('w'), matrix), matrix, raw('N')))
  .map(([list, last]) => pickle.of(...list, last));

const edited = mutatedBytes(fc.constantFrom(...programs)).map((bytes) => torchFile(bytes, storages));
const files = fc.oneof(
  mutatedBytes(fc.constantFrom(...golden, ...programs.map((bytes) => torchFile(bytes, storages, 'zip64')))),
  edited,
  edited,
  program.map((bytes) => torchFile(bytes, storages)),
);

describe('files of PyTorch of foreign origin', { timeout: 300_000 }, () => {
  it('are sound or one clear error', () => {
    checkReader(files, SOURCE, parse, checkSound);
  });

  it('give what a tensor says of its storage, or refuse what it cannot say', () => {
    const size = fc.oneof(
      { weight: 12, arbitrary: fc.nat(5) },
      { weight: 1, arbitrary: fc.constantFrom(-1, 24, 2 ** 31, 2 ** 52, 2 ** 53 - 1, 2 ** 53, -(2 ** 31)) },
    );
    const dimension = fc.tuple(size, size);
    const described = fc.record({ dimensions: fc.array(dimension, { maxLength: 4 }), offset: size });
    const length = 24;
    const content = new Uint8Array(Float32Array.from({ length }, (_, i) => i).buffer);
    let taken = 0;
    const property = fc.property(described, ({ dimensions, offset }) => {
      const parts: TensorParts = {
        ...{ length, offset },
        shape: dimensions.map(([n]) => n),
        strides: dimensions.map(([, stride]) => stride),
      };
      const bytes = torchFile(pickle.of(dict(text('w'), tensor(parts))), { 0: content });
      const result = outcome(SOURCE, () => parse(bytes).tensors.get('w')?.read());
      const expected = elementsOf(parts);
      if (expected === undefined) expect('error' in result).toBe(true);
      else if ('value' in result) expect([...(result.value ?? [])]).toEqual(expected);
      else throw result.error;
      if (expected !== undefined) taken++;
    });
    fc.assert(property, { numRuns: RUNS });
    expect(taken).toBeGreaterThan(RUNS / 10);
    expect(taken).toBeLessThan(RUNS * 0.9);
  });

  const repeated = (part: Uint8Array, count = 400_000): Uint8Array => {
    const bytes = new Uint8Array(part.length * count);
    for (let i = 0; i < count; i++) bytes.set(part, i * part.length);
    return bytes;
  };
  const saved = (...parts: readonly Uint8Array[]): Uint8Array => torchFile(pickle.of(...parts), storages);
  const numbered = (count: number, part: (i: number) => Uint8Array): Uint8Array => {
    const parts = Array.from({ length: count }, (_, i) => part(i));
    return new Uint8Array(Buffer.concat(parts));
  };

  it.each<[string, Uint8Array]>([
    ['items of lists', saved(raw(']'), repeated(raw('NNNNNNNa')))],
    ['items of lists, many at a time', saved(raw(']'), repeated(raw('(NNNNNNe')))],
    ['long numbers', saved(repeated(joined(raw('\x8a\xff'), repeated(raw('\x7f'), 255), raw('0')), 4_000))],
    ['a long text', saved(text('é'.repeat(1_000_000)))],
    ['a long text of a wide letter', saved(text(`${'a'.repeat(1_000_000)}€`))],
    ['a text that is longer than the file', saved(raw('X\xff\xff\xff\xff'))],
    ['a long name', saved(global('o'.repeat(500_000), 's'.repeat(500_000)))],
    ['a tensor of 2^52 elements', saved(tensor({ length: 24, shape: [2 ** 52], strides: [0] }))],
    ['a storage of 2^52 elements', saved(tensor({ length: 2 ** 52, shape: [2 ** 52], strides: [1] }))],
    [
      'a byte order of many bytes',
      torchFile(raw('N.'), {}, 'zip', new TextEncoder().encode(`${'a'.repeat(2_000_000)}€`)),
    ],
    ['a file of 2^62 bytes', zip([['a/data.pkl', raw('N.')]], 'zip64', { size: 2 ** 62 })],
    ['2^62 files', zip([['a/data.pkl', raw('N.')]], 'zip64', { count: 2 ** 62 })],
    ['no archive', joined(raw('PK\x03\x04'), new Uint8Array(2_000_000))],
    ['ends', joined(raw('PK\x03\x04'), repeated(raw('PK\x05\x06')))],
  ])('take memory by their bytes, not by what they claim: %s', (_, bytes) => {
    expectFrugal(SOURCE, bytes.length, () => parse(bytes));
  });

  const made: readonly (readonly [string, Uint8Array])[] = [
    ['empty dicts', repeated(raw('}'))],
    ['empty dicts that are thrown away', repeated(raw('}0'))],
    ['dicts within each other', joined(repeated(raw('}X\x00\x00\x00\x00')), repeated(raw('Ns')))],
    [
      'keys',
      joined(
        raw('}'),
        numbered(100_000, (i) => joined(text(`${i}`), raw('Ns'))),
      ),
    ],
    ['dicts of one entry', joined(raw('\x8c\x00q\x00'), repeated(raw('}h\x00Ns')))],
    ['empty tuples', repeated(raw(')'))],
    ['tuples of three', repeated(raw('NNN\x87'))],
    ['tuples within each other', joined(raw('N'), repeated(raw('\x85')))],
    ['tuples of what one was', joined(raw(')q\x00'), repeated(raw('h\x00h\x00\x86q\x00')))],
    ['lists', repeated(raw(']'))],
    ['marks', repeated(raw('('))],
    ['kept values', joined(raw('N'), repeated(raw('\x94')))],
    ['values that are used again', joined(raw('Nq\x00'), repeated(raw('h\x00')))],
    ['whole numbers', repeated(raw('J\xff\xff\xff\x7f'))],
    ['fractions', repeated(raw('G\x7f\xef\xff\xff\xff\xff\xff\xff'))],
    ['texts', numbered(100_000, (i) => text(`a text, ${i}`))],
  ];
  const stored = tuple(text('storage'), global('torch', 'FloatStorage'), text('0'), text('cpu'), int(24));
  const described = tuple(stored, raw('Q'), int(0), tuple(int(2)), tuple(int(1)));
  const tensors: readonly (readonly [string, Uint8Array])[] = [
    ['OrderedDicts', joined(global('collections', 'OrderedDict'), raw('q\x00'), repeated(raw('h\x00)R')))],
    ['names', repeated(raw('ctorch\nSize\n'))],
    ['tensors', numbered(10_000, () => matrix)],
    [
      'tensors of one description',
      joined(
        global('torch._utils', '_rebuild_tensor_v2'),
        raw('q\x00'),
        described,
        raw('q\x01'),
        repeated(raw('h\x00h\x01R')),
      ),
    ],
    ['storages of one description', joined(stored, raw('q\x00'), repeated(raw('h\x00Q')))],
    [
      'one tensor by names that are few enough',
      joined(
        matrix,
        raw('q\x000}('),
        numbered(4_000, (i) => joined(text(`w${i}`), raw('h\x00'))),
        raw('u.'),
      ),
    ],
    [
      'one tensor by many names',
      joined(
        matrix,
        raw('q\x00}('),
        numbered(50_000, (i) => joined(text(`w${i}`), raw('h\x00'))),
        raw('u'),
      ),
    ],
  ];
  const archive = [
    'files',
    zip(Array.from({ length: 50_000 }, (_, i) => [`${i}`, new Uint8Array()] as const)),
  ] as const;

  it.each([...[...made, ...tensors].map(([name, part]) => [name, saved(part)] as const), archive])(
    'are refused before what they build takes more memory than they have bytes: %s',
    (_, bytes) => {
      let error: unknown;
      const all = allocated(() => {
        const result = outcome(SOURCE, () => parse(bytes));
        error = 'error' in result && result.error.message;
      });
      expect(error).toBeTruthy();
      // What is given back meanwhile, such as arrays that have grown, is part of it.
      expect(all).toBeLessThan(3 * (bytes.length + 2 ** 20));
    },
  );

  it.each(made)('hold no more memory than the reader counts: %s', (_, part) => {
    const program = pickle.of(part);
    collectGarbage();
    const before = process.memoryUsage().heapUsed;
    let counted = 0;
    let held: number | undefined;
    const host: PickleHost = {
      globals: new Map(),
      persistent: () => undefined,
      charge(bytes) {
        counted += bytes;
        if (counted < 3_000_000 || held !== undefined) return;
        collectGarbage();
        held = process.memoryUsage().heapUsed - before;
      },
      refuse: (name) => host.fail(name),
      fail(problem) {
        throw new XlstmError('checkpoint', problem);
      },
    };
    outcome('the pickle', () => readPickle(program, host));
    expect(held).toBeLessThan(3_300_000);
  });

  it('may hold many small tensors', () => {
    // As PyTorch writes them: what is said again is taken from what was said before.
    const parts = (i: number): Uint8Array =>
      joined(
        ...[text(`layer.${i}.weight`), raw('h\x00((h\x01h\x02'), text(String(i)), raw('h\x03K\x04tQK\x00')],
        ...[raw('K\x02K\x02\x86'), raw('\x94K\x02K\x01\x86\x94\x89h\x04)R\x94t\x94R\x94')],
      );
    const shared = joined(
      ...[global('torch._utils', '_rebuild_tensor_v2'), raw('q\x000'), text('storage'), raw('q\x010')],
      ...[global('torch', 'FloatStorage'), raw('q\x020'), text('cpu'), raw('q\x030')],
      ...[global('collections', 'OrderedDict'), raw('q\x040')],
    );
    const count = 800;
    const program = pickle.of(shared, dict(numbered(count, parts)));
    const contents = Array.from({ length: count }, (_, i) => [String(i), new Uint8Array(16)] as const);
    expect(parse(torchFile(program, Object.fromEntries(contents))).tensors.size).toBe(count);
  });
});

/** The elements of a tensor over a storage that holds 0, 1, 2, …, in exact numbers; undefined: it is to be refused. */
function elementsOf({ length, offset = 0, shape, strides }: TensorParts): number[] | undefined {
  const limit = BigInt(Number.MAX_SAFE_INTEGER);
  const all = [offset, ...shape, ...strides].map(BigInt);
  if (all.some((n) => n < 0n || n > limit)) return undefined;
  const count = shape.reduce((product, n) => product * BigInt(n), 1n);
  if (count === 0n) return [];
  if (count > BigInt(length)) return undefined;
  let places = [BigInt(offset)];
  for (const [d, n] of shape.entries()) {
    places = places.flatMap((place) =>
      Array.from({ length: n }, (_, i) => place + BigInt(i) * BigInt(strides[d])),
    );
  }
  return places.every((place) => place < BigInt(length)) ? places.map(Number) : undefined;
}
