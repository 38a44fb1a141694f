import { XlstmError } from '../errors.ts';
import { invalidUtf8, wholeCharacters } from './utf8.ts';

/** A text and what it is called. */
export interface Document {
  /** Where it came from: a path, "standard input", a chapter. */
  readonly name: string;
  /** All of it, line ends as they are. */
  readonly text: string;
  /** It goes on with the document before it, which is too long for one text. */
  readonly continues?: true;
}

/** Where reading can go on: so many bytes and, of lines of records, lines of a file lie before it. */
export interface Position {
  readonly byte: number;
  readonly lines: number;
}

/** A text, and where what follows it in its file begins; left out where reading cannot begin there. */
export interface PlacedDocument extends Document {
  readonly next?: Position;
}

export const fileStart: Position = { byte: 0, lines: 0 };

/**
 * The text of bytes as they come, in pieces of at most `most` UTF-16 units; those but the last end where a line does, if
 * there is one in their second half. A byte order mark is dropped. Throws a data error that begins with `name` for what is
 * empty or no UTF-8.
 *
 * @param from Where the bytes begin: behind a piece.
 */
export async function* decodeText(
  name: string,
  bytes: AsyncIterable<Uint8Array>,
  most: number,
  from = fileStart.byte,
): AsyncGenerator<PlacedDocument & { readonly next: Position }> {
  let text = '';
  let continues = from > 0;
  let byte = from;
  const piece = (end: number): PlacedDocument & { readonly next: Position } => {
    const cut = text.slice(0, end);
    byte += Buffer.byteLength(cut);
    const next = { ...fileStart, byte };
    const document = { name, text: cut, next, ...(continues && { continues }) };
    text = text.slice(end);
    continues = true;
    return document;
  };
  for await (const { text: more, dropped } of decoded(name, bytes, from)) {
    text += more;
    byte += dropped;
    while (text.length > most) yield piece(cutBefore(text, most));
  }
  if (text.length > 0 || !continues) yield piece(text.length);
}

/** The byte order mark. */
const MARK = '\ufeff';

/** `dropped`: bytes before the text that are no part of it. */
async function* decoded(
  name: string,
  bytes: AsyncIterable<Uint8Array>,
  start: number,
): AsyncGenerator<{ readonly text: string; readonly dropped: number }> {
  const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
  let total = start;
  // The beginning of a character that goes on in the next chunk.
  let rest: Uint8Array = new Uint8Array(0);
  for await (const chunk of bytes) {
    if (total === 0) refuseUtf16(name, chunk);
    const zero = chunk.indexOf(0);
    if (zero >= 0) {
      throw new XlstmError(
        'data',
        `${name}: expected text, found binary data (a zero byte at ${total + zero})`,
      );
    }
    const from = total - rest.length;
    const joined = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
    const end = wholeCharacters(joined);
    const whole = joined.subarray(0, end);
    rest = joined.slice(end);
    total += chunk.length;
    let text: string;
    try {
      text = decoder.decode(whole);
    } catch {
      const at = invalidUtf8(whole);
      throw notUtf8(name, from + at, whole[at]);
    }
    const marked = from === 0 && text.startsWith(MARK);
    yield { text: marked ? text.slice(MARK.length) : text, dropped: marked ? Buffer.byteLength(MARK) : 0 };
  }
  if (total === 0) throw new XlstmError('data', `${name}: expected text, found nothing`);
  if (rest.length > 0) throw notUtf8(name, total - rest.length, rest[0]);
}

const notUtf8 = (name: string, at: number, byte: number): XlstmError =>
  new XlstmError(
    'data',
    `${name}: expected UTF-8, found the byte 0x${byte.toString(16)} at ${at}, which is no part of a character`,
    'Text in another encoding: convert it, such as with iconv -f LATIN1 -t UTF-8. A damaged one: iconv -c -f UTF-8 -t UTF-8 leaves such bytes out.',
  );

function refuseUtf16(name: string, [first, second]: Uint8Array): void {
  if (!((first === 0xff && second === 0xfe) || (first === 0xfe && second === 0xff))) return;
  throw new XlstmError(
    'data',
    `${name}: expected UTF-8, found UTF-16`,
    'convert it: iconv -f UTF-16 -t UTF-8',
  );
}

/** Where to cut a text so that the first part has at most `most` units. */
function cutBefore(text: string, most: number): number {
  let line = text.lastIndexOf('\n', most - 1);
  // Tokenizers that split at white space see the same words on both sides of a line's end between two letters.
  while (line >= most / 2 && !(/\S/.test(text[line - 1]) && /\S/.test(text[line + 1] ?? ''))) {
    line = text.lastIndexOf('\n', line - 1);
  }
  if (line < most / 2) line = text.lastIndexOf('\n', most - 1);
  if (line >= most / 2) return line + 1;
  // A cut must not fall between the two halves of a character outside the basic plane.
  return /[\udc00-\udfff]/.test(text[most]) ? most - 1 : most;
}
