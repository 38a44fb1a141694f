/** Controls, invisible and direction-changing characters, line ends: a terminal would obey them. Lone surrogates. */
const UNPRINTABLE = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/gu;

const escaped = (text: string): string =>
  text.replace(
    UNPRINTABLE,
    (character) => `\\u{${(character.codePointAt(0) as number).toString(16).padStart(4, '0')}}`,
  );

/** Foreign text for an error message: one line, nothing that steers a terminal, cut off after `limit` characters. */
export function oneLine(text: string, limit = 80): string {
  if (text.length <= limit) return escaped(text);
  // Half a surrogate pair is no character.
  const pair = /[\ud800-\udbff]/.test(text[limit - 1]);
  return `${escaped(text.slice(0, pair ? limit - 1 : limit))}…`;
}

/**
 * A foreign value for an error message, as JSON where it is JSON (lists as shapes are written): on one line and cut off after about `limit`
 * characters. Time and memory go by the limit, however large or deeply nested the value is.
 */
export function quote(value: unknown, limit = 80): string {
  let text = '';
  const full = (): boolean => text.length > limit;
  const write = (part: unknown): void => {
    if (typeof part === 'string') {
      text += JSON.stringify(part.slice(0, limit + 1));
    } else if (Array.isArray(part)) {
      text += '[';
      for (let i = 0; i < part.length && !full(); i++) {
        if (i > 0) text += ', ';
        write(part[i]);
      }
      text += ']';
    } else if (typeof part === 'object' && part !== null) {
      text += '{';
      let first = true;
      for (const key in part) {
        if (full()) break;
        if (!first) text += ',';
        first = false;
        text += `${JSON.stringify(key.slice(0, limit + 1))}:`;
        write((part as Record<string, unknown>)[key]);
      }
      text += '}';
    } else {
      text += typeof part === 'function' ? 'a function' : String(part);
    }
  };
  write(value);
  return oneLine(text, limit);
}
