/** What texts may be, as a regular expression in pieces. */
export type Expression =
  /** One character of these ranges of code points, both ends included. */
  | { readonly kind: 'ranges'; readonly ranges: readonly CodePoints[] }
  /** One after another; none: the empty text. */
  | { readonly kind: 'sequence'; readonly parts: readonly Expression[] }
  | { readonly kind: 'either'; readonly parts: readonly Expression[] }
  | {
      readonly kind: 'repeat';
      readonly part: Expression;
      readonly least: number;
      readonly most: number;
    }
  /** One or more of a part, the separator between any two. */
  | { readonly kind: 'list'; readonly part: Expression; readonly separator: Expression }
  /** In this order, each once or, where it may be left out, not at all; the separator between any two that are there. */
  | { readonly kind: 'members'; readonly members: readonly Member[]; readonly separator: Expression };

export interface Member {
  readonly part: Expression;
  readonly optional: boolean;
}

export type CodePoints = readonly [first: number, last: number];

export const LAST_CODE_POINT = 0x10ffff;

export const sequence = (...parts: readonly Expression[]): Expression => sequenceOf(parts);
export const either = (...parts: readonly Expression[]): Expression => eitherOf(parts);
/** The same of a list of any length: a call has no room for a hundred thousand arguments. */
export const sequenceOf = (parts: readonly Expression[]): Expression => ({ kind: 'sequence', parts });
export const eitherOf = (parts: readonly Expression[]): Expression => ({ kind: 'either', parts });
export const repeat = (part: Expression, least: number, most = Number.POSITIVE_INFINITY): Expression => ({
  kind: 'repeat',
  part,
  least,
  most,
});
export const listOf = (part: Expression, separator: Expression): Expression => ({
  kind: 'list',
  part,
  separator,
});
export const ranges = (...all: readonly CodePoints[]): Expression => ({ kind: 'ranges', ranges: all });

/** Exactly this text. */
export const literal = (text: string): Expression =>
  sequenceOf(
    Array.from(text, (character) => {
      const code = character.codePointAt(0) as number;
      return ranges([code, code]);
    }),
  );

/** All code points but these, in ascending order. */
export function complement(of: readonly CodePoints[]): CodePoints[] {
  const rest: CodePoints[] = [];
  let next = 0;
  for (const [first, last] of [...of].sort((a, b) => a[0] - b[0])) {
    if (first > next) rest.push([next, first - 1]);
    next = Math.max(next, last + 1);
  }
  if (next <= LAST_CODE_POINT) rest.push([next, LAST_CODE_POINT]);
  return rest;
}

/** What of the code points from first to last is among others. */
export const within = (of: readonly CodePoints[], first: number, last: number): CodePoints[] =>
  of
    .map(([from, to]): CodePoints => [Math.max(from, first), Math.min(to, last)])
    .filter(([from, to]) => from <= to);
