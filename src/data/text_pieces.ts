import { XlstmError } from '../errors.ts';

/** A text and what it is called. */
export interface Document {
  /** Where it came from: a path, "standard input", a chapter. */
  readonly name: string;
  /** All of it, line ends as they are. */
  readonly text: string;
  /** It goes on with the document before it, which is too long for one text. */
  readonly continues?: true;
}

/** Above this share of bytes that are no UTF-8, a file is taken to be something else than text. */
const MAX_INVALID = 0.001;

/** From so many bytes on the share is looked at before the end is reached. */
const JUDGED_BYTES = 2 ** 20;

/**
 * The text of bytes as they come, in pieces of at most `most` UTF-16 units; those but the last end where a line does, if
 * there is one in their second half. A byte order mark is dropped. Throws a data error that begins with `name` for what is
 * empty or no UTF-8.
 */
export async function* decodeText(
  name: string,
  bytes: AsyncIterable<Uint8Array>,
  most: number,
): AsyncGenerator<Document> {
  let text = '';
  let continues = false;
  const piece = (end: number): Document => {
    const cut = { name, text: text.slice(0, end), ...(continues && { continues }) } as Document;
    text = text.slice(end);
    continues = true;
    return cut;
  };
  for await (const more of decoded(name, bytes)) {
    text += more;
    while (text.length > most) yield piece(cutBefore(text, most));
  }
  if (text.length > 0 || !continues) yield piece(text.length);
}

async function* decoded(name: string, bytes: AsyncIterable<Uint8Array>): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  const meant = new ReplacementBytes();
  let total = 0;
  let invalid = 0;
  const check = (): void => {
    if (invalid - meant.count <= MAX_INVALID * total) return;
    throw new XlstmError(
      'data',
      `${name}: expected UTF-8, found ${invalid - meant.count} invalid sequences in ${total} bytes`,
      'if it is text in another encoding, convert it first, for example: iconv -f LATIN1 -t UTF-8',
    );
  };
  for await (const chunk of bytes) {
    if (total === 0) refuseUtf16(name, chunk);
    const zero = chunk.indexOf(0);
    if (zero >= 0) {
      throw new XlstmError(
        'data',
        `${name}: expected text, found binary data (a zero byte at ${total + zero})`,
      );
    }
    total += chunk.length;
    const text = decoder.decode(chunk, { stream: true });
    meant.push(chunk);
    invalid += countReplacements(text);
    if (total >= JUDGED_BYTES) check();
    yield text;
  }
  if (total === 0) throw new XlstmError('data', `${name}: expected text, found nothing`);
  const rest = decoder.decode();
  invalid += countReplacements(rest);
  check();
  yield rest;
}

function refuseUtf16(name: string, [first, second]: Uint8Array): void {
  if (!((first === 0xff && second === 0xfe) || (first === 0xfe && second === 0xff))) return;
  throw new XlstmError(
    'data',
    `${name}: expected UTF-8, found UTF-16`,
    'convert it: iconv -f UTF-16 -t UTF-8',
  );
}

function countReplacements(text: string): number {
  let count = 0;
  for (let at = text.indexOf('\ufffd'); at >= 0; at = text.indexOf('\ufffd', at + 1)) count++;
  return count;
}

/** Counts U+FFFD that stand in the bytes themselves: these are no errors of the reading. */
class ReplacementBytes {
  count = 0;
  #tail: Uint8Array = new Uint8Array(0);

  push(chunk: Uint8Array): void {
    const bytes = Buffer.concat([this.#tail, chunk]);
    for (let at = bytes.indexOf(0xef); at >= 0; at = bytes.indexOf(0xef, at + 1)) {
      if (bytes[at + 1] === 0xbf && bytes[at + 2] === 0xbd) this.count++;
    }
    this.#tail = bytes.subarray(-2);
  }
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
