/** Makes files as torch.save does, and such as it never would: an archive and a pickle from their parts. */

const ascii = (text: string): Uint8Array => Uint8Array.from(text, (letter) => letter.charCodeAt(0));

export function joined(...parts: readonly (Uint8Array | readonly number[])[]): Uint8Array {
  const bytes = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}

/** Little-endian. */
function number(value: number, bytes: 2 | 4 | 8): Uint8Array {
  return Uint8Array.from({ length: bytes }, (_, i) => Math.floor(value / 256 ** i) % 256);
}

/** Numbers of an archive that are not to be right. */
export interface ZipClaims {
  readonly count?: number;
  readonly method?: number;
  readonly flags?: number;
  readonly size?: number;
  readonly storedSize?: number;
  /** Of all files. */
  readonly offset?: number;
  readonly directory?: number;
  readonly comment?: Uint8Array;
  /** The numbers of 64 bits are not there. */
  readonly noWideNumbers?: boolean;
}

/** An archive of stored files. */
export function zip(
  files: readonly (readonly [name: string, content: Uint8Array])[],
  form: 'zip' | 'zip64' = 'zip',
  claims: ZipClaims = {},
): Uint8Array {
  const parts: Uint8Array[] = [];
  const directory: Uint8Array[] = [];
  let at = 0;
  const wide = form === 'zip64';
  for (const [name, content] of files) {
    const { flags = 0x800, method = 0, size = content.length, storedSize = size, offset = at } = claims;
    const title = new TextEncoder().encode(name);
    const local = joined(
      ...[ascii('PK\x03\x04'), number(20, 2), number(flags, 2), number(method, 2), new Uint8Array(8)],
      ...[number(storedSize, 4), number(size, 4), number(title.length, 2), number(0, 2), title],
    );
    const extra =
      wide && !claims.noWideNumbers
        ? joined(
            // Another field before it.
            ...[number(0x5455, 2), number(1, 2), [0], number(1, 2), number(24, 2)],
            ...[number(size, 8), number(storedSize, 8), number(offset, 8)],
          )
        : new Uint8Array();
    const short = (value: number): Uint8Array => number(wide ? 0xffffffff : value, 4);
    directory.push(
      joined(
        ...[ascii('PK\x01\x02'), number(20, 2), number(20, 2), number(flags, 2), number(method, 2)],
        ...[new Uint8Array(8), short(storedSize), short(size), number(title.length, 2)],
        ...[number(extra.length, 2), new Uint8Array(10), short(offset), title, extra],
      ),
    );
    parts.push(local, content);
    at += local.length + content.length;
  }
  const entries = joined(...directory);
  const { count = files.length, directory: begin = at, comment = new Uint8Array() } = claims;
  const end64 = wide
    ? joined(
        ...[ascii('PK\x06\x06'), number(44, 8), number(45, 2), number(45, 2), new Uint8Array(8)],
        ...[number(count, 8), number(count, 8), number(entries.length, 8), number(begin, 8)],
        ...[ascii('PK\x06\x07'), number(0, 4), number(at + entries.length, 8), number(1, 4)],
      )
    : new Uint8Array();
  const end = joined(
    ...[
      ascii('PK\x05\x06'),
      number(0, 4),
      number(wide ? 0xffff : count, 2),
      number(wide ? 0xffff : count, 2),
    ],
    ...[number(entries.length, 4), number(wide ? 0xffffffff : begin, 4), number(comment.length, 2), comment],
  );
  return joined(...parts, entries, end64, end);
}

/** Instructions of a pickle, by what they push. */
export const pickle = {
  of: (...parts: readonly Uint8Array[]): Uint8Array => joined([0x80, 2], ...parts, ascii('.')),
  raw: ascii,
  text: (value: string): Uint8Array => {
    const bytes = new TextEncoder().encode(value);
    return joined(ascii('X'), number(bytes.length, 4), bytes);
  },
  int: (value: number): Uint8Array => {
    const bytes: number[] = [];
    for (let rest = BigInt(value); bytes.length < 8; rest >>= 8n) bytes.push(Number(rest & 0xffn));
    return joined([0x8a, 8], bytes);
  },
  global: (module: string, name: string): Uint8Array => ascii(`c${module}\n${name}\n`),
  tuple: (...items: readonly Uint8Array[]): Uint8Array => joined(ascii('('), ...items, ascii('t')),
  dict: (...items: readonly Uint8Array[]): Uint8Array => joined(ascii('}('), ...items, ascii('u')),
  call: (callee: Uint8Array, ...args: readonly Uint8Array[]): Uint8Array =>
    joined(callee, pickle.tuple(...args), ascii('R')),
} as const;

export interface TensorParts {
  readonly type?: string;
  readonly key?: string;
  readonly length: number;
  readonly offset?: number;
  readonly shape: readonly number[];
  readonly strides: readonly number[];
  /** Instructions that push what follows the arguments that every tensor has. */
  readonly more?: Uint8Array;
}

/** The instructions that rebuild a tensor. */
export const tensor = ({
  type = 'FloatStorage',
  key = '0',
  length,
  offset = 0,
  shape,
  strides,
  more = new Uint8Array(),
}: TensorParts): Uint8Array =>
  pickle.call(
    pickle.global('torch._utils', '_rebuild_tensor_v2'),
    joined(
      pickle.tuple(
        ...[pickle.text('storage'), pickle.global('torch', type), pickle.text(key)],
        ...[pickle.text('cpu'), pickle.int(length)],
      ),
      ascii('Q'),
    ),
    pickle.int(offset),
    pickle.tuple(...shape.map(pickle.int)),
    pickle.tuple(...strides.map(pickle.int)),
    ascii('\x89'),
    pickle.call(pickle.global('collections', 'OrderedDict')),
    more,
  );

/** A file of a pickle and of storages by their keys. */
export const torchFile = (
  program: Uint8Array,
  storages: Readonly<Record<string, Uint8Array>> = {},
  form: 'zip' | 'zip64' = 'zip',
  byteOrder = ascii('little'),
): Uint8Array =>
  zip(
    [
      ['model/data.pkl', program],
      ['model/byteorder', byteOrder],
      ...Object.entries(storages).map(([key, content]) => [`model/data/${key}`, content] as const),
      ['model/version', ascii('3\n')],
    ],
    form,
  );
