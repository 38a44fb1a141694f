import { quote } from '../quote.ts';

/** A file in an archive: its content is [begin, end) of the archive's bytes. */
export interface ZipEntry {
  readonly name: string;
  /** Where its header begins. */
  readonly from: number;
  readonly begin: number;
  readonly end: number;
}

const LOCAL = { signature: 0x04034b50, bytes: 30 };
const CENTRAL = { signature: 0x02014b50, bytes: 46 };
const END = { signature: 0x06054b50, bytes: 22 };
const LOCATOR64 = { signature: 0x07064b50, bytes: 20 };
const END64 = { signature: 0x06064b50, bytes: 56 };
const MAX_COMMENT = 0xffff;

/** Stands for a number of 64 bits elsewhere. */
const ELSEWHERE = 0xffffffff;
const ZIP64_FIELD = 1;

const decoder = new TextDecoder();

type Fail = (problem: string) => never;

/**
 * Where the files of a zip archive lie that holds them as they are ("stored"), zip64 or not. What is compressed or
 * encrypted is refused, and so are files that share bytes, have one name, or do not lie within the archive: what is
 * read of an archive is never more than its size. Checksums are not compared. `fail` says what is wrong; `entry` is
 * told of the name of each file before it is kept.
 */
export function readStoredZip(
  bytes: Uint8Array,
  fail: Fail,
  entry: (nameBytes: number) => void,
): Map<string, ZipEntry> {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const has = (at: number, { signature, bytes: size }: typeof LOCAL): boolean =>
    at >= 0 && at + size <= bytes.length && view.getUint32(at, true) === signature;
  const wide = (at: number): number => Number(view.getBigUint64(at, true));

  const directory = findDirectory(view, has, wide, fail);
  const entries = new Map<string, ZipEntry>();
  let at = directory.begin;
  for (let i = 0; i < directory.count; i++) {
    if (!has(at, CENTRAL)) fail(`expected ${directory.count} files in the directory, found ${i}`);
    const nameBytes = view.getUint16(at + 28, true);
    entry(nameBytes);
    const nameEnd = at + CENTRAL.bytes + nameBytes;
    const extraEnd = nameEnd + view.getUint16(at + 30, true);
    if (extraEnd > bytes.length) fail('the directory goes beyond the end of the archive');
    const name = decoder.decode(bytes.subarray(at + CENTRAL.bytes, nameEnd));
    const failEntry: Fail = (problem) => fail(`${quote(name)}: ${problem}`);
    if (view.getUint16(at + 8, true) & 1) failEntry('expected a file as it is, found an encrypted one');
    const method = view.getUint16(at + 10, true);
    if (method !== 0) failEntry(`expected a file as it is, found a compressed one (method ${method})`);
    // In this order, those that 32 bits cannot hold follow in the field of zip64.
    let more = zip64Field(view, nameEnd, extraEnd);
    const number = (short: number): number => {
      if (short !== ELSEWHERE) return short;
      if (more === undefined || more + 8 > extraEnd) return failEntry('its size or place is missing');
      more += 8;
      return wide(more - 8);
    };
    const size = number(view.getUint32(at + 24, true));
    const storedSize = number(view.getUint32(at + 20, true));
    const from = number(view.getUint32(at + 42, true));
    if (size !== storedSize) failEntry(`expected a file as it is, found ${storedSize} bytes of ${size}`);
    if (!has(from, LOCAL)) failEntry(`there is no file at byte ${from}`);
    const begin = from + LOCAL.bytes + view.getUint16(from + 26, true) + view.getUint16(from + 28, true);
    const end = begin + size;
    if (end > directory.begin) failEntry(`expected to end by byte ${directory.begin}, found ${end}`);
    if (entries.has(name)) failEntry('expected one file of this name, found two');
    entries.set(name, { name, from, begin, end });
    at = extraEnd + view.getUint16(at + 32, true);
  }
  let last = 0;
  for (const { name, from, end } of [...entries.values()].sort((a, b) => a.from - b.from)) {
    if (from < last) fail(`${quote(name)}: shares bytes with another file`);
    last = end;
  }
  return entries;
}

/** The directory of the archive: found from its end, which a comment may follow. */
function findDirectory(
  view: DataView,
  has: (at: number, record: typeof LOCAL) => boolean,
  wide: (at: number) => number,
  fail: Fail,
): { readonly begin: number; readonly count: number } {
  const last = view.byteLength - END.bytes;
  const isEnd = (at: number): boolean =>
    has(at, END) && at + END.bytes + view.getUint16(at + 20, true) === view.byteLength;
  let end = last;
  while (end >= Math.max(0, last - MAX_COMMENT) && !isEnd(end)) end--;
  if (!isEnd(end)) return fail('the archive has no end: the file is cut off, or no archive');
  const locator = end - LOCATOR64.bytes;
  if (!has(locator, LOCATOR64)) {
    return { count: view.getUint16(end + 10, true), begin: view.getUint32(end + 16, true) };
  }
  const end64 = wide(locator + 8);
  if (!has(end64, END64)) return fail(`expected the end of the directory at byte ${end64}`);
  return { count: wide(end64 + 32), begin: wide(end64 + 48) };
}

/** Where the extra field of 64-bit numbers begins, if there is one. */
function zip64Field(view: DataView, from: number, to: number): number | undefined {
  for (let at = from; at + 4 <= to; at += 4 + view.getUint16(at + 2, true)) {
    if (view.getUint16(at, true) === ZIP64_FIELD) return at + 4;
  }
  return undefined;
}
