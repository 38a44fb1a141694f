import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { outcome } from '../testing/foreign.ts';
import { joined, pickle, type TensorParts, tensor, torchFile, zip } from './testing/torch.ts';
import { parseTorchFile } from './torch_file.ts';

const golden = (name: string): Uint8Array =>
  readFileSync(new URL(`../../test/golden/torch/${name}`, import.meta.url));

const { raw, text, dict, tuple, call, global } = pickle;
const floats = (...values: number[]): Uint8Array => new Uint8Array(Float32Array.from(values).buffer);
const parse = (bytes: Uint8Array) => parseTorchFile(bytes, 'a.pt').tensors;
const valuesOf = (bytes: Uint8Array): Record<string, number[]> =>
  Object.fromEntries([...parse(bytes)].map(([name, t]) => [name, [...t.read()]]));

/** A file whose saved value is what the instructions push; storage 0 holds 0 to 5. */
const saved = (...parts: readonly Uint8Array[]): Uint8Array =>
  torchFile(pickle.of(...parts), { 0: floats(0, 1, 2, 3, 4, 5) });
const matrix = tensor({ length: 6, shape: [2, 3], strides: [3, 1] });
const one = (parts: TensorParts): Uint8Array => saved(dict(text('w'), tensor(parts)));

describe('files of PyTorch', () => {
  it('hold tensors of every type, in any order of a storage, one storage for several', () => {
    const tensors = parse(golden('tensors.pt'));
    const found = [...tensors].map(([name, t]) => [name, t.dtype, t.shape, [...t.read()]]);
    expect(found).toEqual([
      ['f64', 'F64', [2], [Math.fround(0.1), -3]],
      ['f32', 'F32', [1, 2], [Math.fround(0.1), -3]],
      ['f16', 'F16', [3], [1, -2, 65504]],
      ['bf16', 'BF16', [2], [1, -3.140625]],
      ['i64', 'I64', [2], [-5, 2 ** 31]],
      ['i32', 'I32', [1], [-7]],
      ['i16', 'I16', [1], [-300]],
      ['i8', 'I8', [2], [-128, 127]],
      ['u8', 'U8', [2], [0, 255]],
      ['bool', 'BOOL', [2], [1, 0]],
      ['scalar', 'F32', [], [2.5]],
      ['empty', 'F32', [0, 5], []],
      ['matrix', 'F32', [2, 3], [0, 1, 2, 3, 4, 5]],
      ['tied', 'F32', [2, 3], [0, 1, 2, 3, 4, 5]],
      ['transposed', 'F32', [3, 2], [0, 3, 1, 4, 2, 5]],
      ['every_fifth', 'F32', [5], [1, 6, 11, 16, 21]],
      ['window', 'F32', [2, 2, 2], [4, 6, 8, 10, 16, 18, 20, 22]],
      [
        ...['permuted', 'F32', [4, 2, 3]],
        [0, 4, 8, 12, 16, 20, 1, 5, 9, 13, 17, 21, 2, 6, 10, 14, 18, 22, 3, 7, 11, 15, 19, 23],
      ],
      ['parameter', 'F32', [2, 3], [0, 2, 4, 6, 8, 10]],
    ]);
    expect([...(tensors.get('i64')?.readIntegers() ?? [])]).toEqual([-5, 2 ** 31 - 1]);
    expect([...(tensors.get('i16')?.readIntegers() ?? [])]).toEqual([-300]);
    expect(() => parseTorchFile(golden('tensors.pt'), 'a.pt').tensors.get('f64')?.readIntegers()).toThrow(
      'a.pt: tensor "f64": expected whole numbers',
    );
  });

  it('may be checkpoints of Lightning, with what they hold besides', () => {
    const names = [...parse(golden('lightning.ckpt')).keys()];
    expect(names).toHaveLength(16);
    expect(names.every((name) => name.startsWith('model.'))).toBe(true);
  });

  it('may hold one state dict under any key, or several of which one is called state_dict', () => {
    const weights = dict(text('w'), matrix);
    const other = dict(text('state'), dict(raw('K\x00'), weights), text('lr'), raw('G@\x09!\xfbTD-\x18'));
    const values = { w: [0, 1, 2, 3, 4, 5] };
    expect(valuesOf(saved(weights))).toEqual(values);
    expect(valuesOf(saved(dict(text('net'), weights, text('optimizer'), other)))).toEqual(values);
    // Beside tensors, such as the state of a generator of random numbers; and what a module holds besides its own.
    expect(valuesOf(saved(dict(text('rng_state'), matrix, text('net'), weights)))).toEqual(values);
    expect(valuesOf(saved(dict(text('w'), matrix, text('a._extra_state'), weights)))).toEqual(values);
    const ema = dict(text('v'), matrix);
    expect(valuesOf(saved(dict(text('ema'), ema, text('state_dict'), weights)))).toEqual(values);
    expect(() => parse(saved(dict(text('ema'), ema, text('net'), weights)))).toThrow(
      'a.pt: expected one dict of tensors by name, found 2: "ema", "net"',
    );
    expect(() => parse(saved(matrix))).toThrow('a.pt: expected a dict of tensors by name, found none');
    expect(() => parse(saved(dict()))).toThrow('found none');
  });

  it('may be written in protocol 4, as zip64, with a comment', () => {
    const protocol4 = joined(
      ...[raw('\x80\x04\x95'), new Uint8Array(8), raw('}\x94(\x8c\x01w'), raw('\x8c\x0ctorch._utils\x94')],
      ...[
        raw('\x8c\x12_rebuild_tensor_v2\x93\x94('),
        raw('(\x8c\x07storage\x8c\x05torch\x8c\x0cFloatStorage'),
      ],
      ...[raw('\x93\x8c\x010\x8c\x03cpuK\x06tQK\x00K\x02K\x03\x86K\x03K\x01\x86\x89NtRu')],
    );
    const program = joined(protocol4, raw('.'));
    for (const form of ['zip', 'zip64'] as const) {
      const bytes = torchFile(program, { 0: floats(0, 1, 2, 3, 4, 5) }, form);
      expect(valuesOf(bytes)).toEqual({ w: [0, 1, 2, 3, 4, 5] });
    }
    const entries = [
      ['a/data.pkl', program],
      ['a/data/0', floats(5, 4, 3, 2, 1, 0)],
    ] as const;
    const bytes = zip(entries, 'zip', { comment: new TextEncoder().encode('PK\x05\x06 a comment') });
    expect(valuesOf(bytes)).toEqual({ w: [5, 4, 3, 2, 1, 0] });
  });

  it('keep the names of everyday objects and the last of two', () => {
    const second = tensor({ length: 6, offset: 5, shape: [], strides: [] });
    const names = ['__proto__', 'constructor', '\ufeffw', 'w', 'w'];
    const items = names.flatMap((name, i) => [text(name), i === 4 ? second : matrix]);
    const tensors = parse(saved(dict(...items)));
    expect([...tensors.keys()]).toEqual(['__proto__', 'constructor', '\ufeffw', 'w']);
    expect([...(tensors.get('w')?.read() ?? [])]).toEqual([5]);
  });

  it.each<[string, Uint8Array, string]>([
    ['os.system', golden('command.pt'), 'posix.system'],
    ['a module', saved(global('torch.nn.modules.linear', 'Linear')), 'torch.nn.modules.linear.Linear'],
    ['eval', saved(call(global('builtins', 'eval'), text('1'))), 'builtins.eval'],
    ['what Object has', saved(global('constructor', 'prototype')), 'constructor.prototype'],
    ['part of a name', saved(global('torch', 'FloatStorage.__reduce__')), 'torch.FloatStorage.__reduce__'],
    ['protocol 4', saved(text('os'), text('system'), raw('\x93')), 'os.system'],
    ['a name that steers a terminal', saved(global('\x1b[2J', 'x')), '\\u{001b}[2J.x'],
    ['complex numbers', saved(global('torch', 'ComplexFloatStorage')), 'torch.ComplexFloatStorage'],
  ])('run nothing and say what they asked for: %s', (_, bytes, name) => {
    expect(() => parse(bytes)).toThrow(
      `a.pt: expected tensors, numbers, texts, dicts and lists; the file asks to run ${name}`,
    );
  });

  it.each<[string, Uint8Array, string]>([
    ['the format before 1.6', golden('legacy.pt'), 'found the format of PyTorch before 1.6'],
    ['nothing', new Uint8Array(), 'expected a zip archive of torch.save, found something else'],
    ['safetensors', raw('\x08\0\0\0\0\0\0\0{}      '), 'expected a zip archive of torch.save'],
    ['no pickle', zip([['a/version', raw('3')]]), 'expected one data.pkl in the archive, found 0'],
    [
      'two pickles',
      zip([
        ['a/data.pkl', raw('N.')],
        ['b/data.pkl', raw('N.')],
      ]),
      'expected one data.pkl in the archive, found 2',
    ],
    [
      'big-endian numbers',
      zip([
        ['a/data.pkl', raw('N.')],
        ['a/byteorder', raw('big')],
      ]),
      'expected bytes in little-endian order, found "big"',
    ],
    ['an instruction of protocol 0', saved(raw('I1\n')), 'the pickle has instruction 73'],
    ['an object', saved(dict(), tuple(), raw('\x81')), 'the pickle has instruction 129'],
    ['a call of a type', saved(call(global('torch', 'FloatStorage'))), 'calls what is no function'],
    ['attributes of a tensor', saved(matrix, dict(), raw('b')), 'gives attributes to other than a dict'],
    ['protocol 1', torchFile(raw('\x80\x01N.')), 'has protocol 1'],
    ['a value too many', saved(raw('NN')), 'ends with other than one value'],
    ['a mark at the end', saved(raw('N(')), 'ends with other than one value'],
    ['a value too few', saved(raw('\x86')), 'takes a value that is not there'],
    ['a value to drop below a mark', saved(raw('N(0')), 'takes a value that is not there'],
    ['a dict below a mark', saved(raw('}(N\x88s')), 'takes a value that is not there'],
    ['a value below a mark', saved(raw('N(\x85')), 'takes a value that is not there'],
    ['no mark', saved(raw('Nt')), 'takes a mark that is not there'],
    ['a memo that is not there', saved(raw('h\x00')), 'uses value 0 of 0 again'],
    ['a memo out of order', saved(raw('Nq\x01')), 'numbers a value 1 after 0 of them'],
    ['a key without a value', saved(raw('}(Nu')), 'sets a key without a value'],
    ['an item of a tuple', saved(raw(')NNs')), 'sets an item of other than a dict'],
    ['an append to a tuple', saved(raw(')Na')), 'appends to other than a list'],
    ['text that is no UTF-8', saved(raw('X\x01\0\0\0\xff')), 'has a text that is no UTF-8'],
    ['an end in a text', torchFile(raw('\x80\x02X\x09\0\0\0abc')), 'the pickle is cut off'],
    ['no end', torchFile(raw('\x80\x02N')), 'the pickle is cut off'],
    ['an end in a name', torchFile(raw('\x80\x02ctorch\nSize')), 'the pickle is cut off'],
    [
      'an OrderedDict of a list',
      saved(call(global('collections', 'OrderedDict'), raw(']'))),
      'an OrderedDict',
    ],
    [
      'a parameter of a text',
      saved(call(global('torch._utils', '_rebuild_parameter'), text('x'))),
      'a parameter',
    ],
    ['a size of texts', saved(call(global('torch', 'Size'), tuple(text('x')))), 'a torch.Size'],
    ['an id of a text', saved(text('storage'), raw('Q')), 'a storage is described by other than'],
    [
      'a storage that is not there',
      one({ key: '7', length: 6, shape: [6], strides: [1] }),
      'storage "7" is not',
    ],
    [
      'a storage that is too short',
      one({ length: 7, shape: [6], strides: [1] }),
      'storage "0": expected 7 elements of 4 bytes, found 24 bytes',
    ],
    [
      'a storage of larger elements',
      one({ type: 'LongStorage', length: 6, shape: [6], strides: [1] }),
      'expected 6 elements of 8 bytes, found 24 bytes',
    ],
    [
      'more than a storage',
      one({ length: 6, shape: [7], strides: [1] }),
      'goes beyond its storage of 6 elements',
    ],
    [
      'a step beyond a storage',
      one({ length: 6, offset: 1, shape: [2, 3], strides: [3, 1] }),
      'a tensor of shape [2, 3], strides [3, 1] and offset 1 goes beyond its storage of 6 elements',
    ],
    [
      'an expanded tensor',
      one({ length: 6, shape: [1e12], strides: [0] }),
      'repeats the elements of its storage',
    ],
    [
      'a shape without strides',
      one({ length: 6, shape: [6], strides: [] }),
      'a tensor is described by other than',
    ],
    [
      'a negative stride',
      one({ length: 6, offset: 5, shape: [6], strides: [-1] }),
      'a tensor is described by',
    ],
    [
      'a size beyond counting',
      one({ length: 6, shape: [2 ** 60], strides: [0] }),
      'a tensor is described by',
    ],
    [
      'a tensor that negates its storage',
      one({ length: 6, shape: [6], strides: [1], more: dict(text('neg'), raw('\x88')) }),
      'a tensor is the negative or conjugate of its storage',
    ],
    [
      '65 dimensions',
      one({ length: 6, shape: Array(65).fill(1), strides: Array(65).fill(1) }),
      'a tensor is',
    ],
  ])('are refused in words: %s', (_, bytes, problem) => {
    expect(() => parse(bytes)).toThrow(problem);
    expect(() => parse(bytes)).toThrow(/^a\.pt: /);
  });

  it('may have strides of any kind where a dimension has one element, or none', () => {
    const parts = { length: 6, offset: 2, shape: [1, 3, 1], strides: [99, 1, 0] };
    expect(valuesOf(one(parts))).toEqual({ w: [2, 3, 4] });
    expect(valuesOf(one({ length: 6, offset: 99, shape: [3, 0], strides: [5, 5] }))).toEqual({ w: [] });
  });
});

describe('archives', () => {
  const program = pickle.of(dict(text('w'), matrix));
  const files = [
    ['a/data.pkl', program],
    ['a/data/0', floats(0, 1, 2, 3, 4, 5)],
  ] as const;

  it.each([
    [
      'compressed',
      { method: 8 },
      '"a/data.pkl": expected a file as it is, found a compressed one (method 8)',
    ],
    ['encrypted', { flags: 1 }, '"a/data.pkl": expected a file as it is, found an encrypted one'],
    [
      'larger than they are stored',
      { size: 2 ** 30, storedSize: 24 },
      'expected a file as it is, found 24 bytes',
    ],
    ['larger than the archive', { size: 2 ** 31 }, '"a/data.pkl": expected to end by byte'],
    ['one file twice', { offset: 0 }, '"a/data/0": shares bytes with another file'],
    ['elsewhere', { offset: 2 ** 31 }, `"a/data.pkl": there is no file at byte ${2 ** 31}`],
    ['fewer than counted', { count: 3 }, 'expected 3 files in the directory, found 2'],
    ['of no directory', { directory: 2 ** 31 }, 'expected 2 files in the directory, found 0'],
  ] as const)('are refused whose files are %s', (_, claims, problem) => {
    for (const form of ['zip', 'zip64'] as const)
      expect(() => parse(zip(files, form, claims))).toThrow(problem);
  });

  it.each([
    ['more files than there can be', { count: 2 ** 60 }],
    ['a directory beyond counting', { directory: 2 ** 60 }],
    ['files beyond counting', { offset: 2 ** 60 }],
    ['sizes beyond counting', { size: 2 ** 60 }],
  ] as const)('are refused that claim %s', (_, claims) => {
    expect(() => parse(zip(files, 'zip64', claims))).toThrow(/^a\.pt: /);
  });

  it('are refused when numbers of 64 bits are missing, or lie beyond the end', () => {
    expect(() => parse(zip(files, 'zip64', { noWideNumbers: true }))).toThrow(
      '"a/data.pkl": its size or place',
    );
    for (const form of ['zip', 'zip64'] as const) {
      const bytes = zip(files, form);
      const last = new TextDecoder('latin1').decode(bytes).lastIndexOf('PK\x01\x02');
      for (const length of [1, 4, 8, 27, 28, 29, 1000, 65535]) {
        const claimed = bytes.slice();
        new DataView(claimed.buffer).setUint16(last + 30, length, true);
        const result = outcome('a.pt', () => parse(claimed));
        if (length > 1000 || (form === 'zip64' && length < 29)) expect('error' in result).toBe(true);
      }
    }
  });

  it('are refused when two files have one name, or when they are cut off', () => {
    expect(() => parse(zip([...files, files[1]]))).toThrow(
      '"a/data/0": expected one file of this name, found two',
    );
    for (const form of ['zip', 'zip64'] as const) {
      const whole = zip(files, form);
      for (let end = 0; end < whole.length; end++) {
        expect(() => parse(whole.subarray(0, end)), `cut after ${end}`).toThrow(/^a\.pt: /);
      }
    }
  });
});
