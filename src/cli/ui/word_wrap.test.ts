import stringWidth from 'string-width';
import { expect, it } from 'vitest';
import { WordWrap, wrapped as wrappedText } from './word_wrap.ts';

function wrapped(width: number, pieces: readonly string[]): string {
  let text = '';
  const wrap = new WordWrap(
    () => width,
    (part) => {
      text += part;
    },
  );
  for (const piece of pieces) wrap.push(piece);
  wrap.flush();
  return text;
}

it.each([
  ['The whale swims in the wide sea.', 12, 'The whale\nswims in the\nwide sea.'],
  ['one\ntwo  three', 80, 'one\ntwo  three'],
  ['a immeasurable b', 6, 'a\nimmeasurable\nb'],
  ['  indented\n\nline ', 10, '  indented\n\nline'],
  ['日本語 日本語 ab', 9, '日本語\n日本語 ab'],
])('%j in %s cells', (text, width, expected) => {
  expect(wrapped(width, [text])).toBe(expected);
  expect(wrapped(width, [...text])).toBe(expected);
  for (const line of expected.split('\n')) {
    if (line.includes(' ')) expect(stringWidth(line)).toBeLessThanOrEqual(width);
  }
});

it('goes on below where it says, at most in the middle of a line', () => {
  expect(wrappedText('/back  takes it back again\n/exit  the end', 18, 7)).toBe(
    '/back  takes it\n       back again\n/exit  the end',
  );
  expect(wrappedText('a bc de', 4, 7)).toBe('a bc\n  de');
  expect(wrappedText('a bc', Number.POSITIVE_INFINITY, 7)).toBe('a bc');
});
