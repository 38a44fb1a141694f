import * as v from 'valibot';

type Issue = v.BaseIssue<unknown>;

const WORDS: Readonly<Record<string, string>> = {
  string: 'a text',
  number: 'a number',
  boolean: 'true or false',
  Array: 'a list',
  Object: 'an object',
  never: 'no such key',
};

/** What is wrong with a body: which key it is of, undefined where it is all of it, and what was expected in its place. */
export function issueText(issue: Issue): { readonly param: string | undefined; readonly text: string } {
  const inner = innermost(issue);
  return { param: v.getDotPath(inner) || undefined, text: textOf(inner) };
}

/** Of a value that may be of several kinds: the issue of the one that got farthest with it. */
function innermost(issue: Issue): Issue {
  // A value of the right kind that is too long, say, got farther than one of another kind.
  const depth = ({ path, kind }: Issue): number => (path?.length ?? 0) + (kind === 'validation' ? 0.5 : 0);
  const [deepest] = [...(issue.issues ?? [])].sort((a, b) => depth(b) - depth(a));
  if (issue.type !== 'union' || !deepest || depth(deepest) === 0) return issue;
  const path = [...(issue.path ?? []), ...(deepest.path ?? [])] as unknown as Issue['path'];
  return innermost({ ...deepest, path } as Issue);
}

function textOf({ type, expected, received }: Issue): string {
  if (type === 'strict_object' && expected === 'never') return 'there is no such key';
  const found = received === 'undefined' ? 'none' : (WORDS[received] ?? received);
  if (type === 'integer') return `expected a whole number, found ${found}`;
  const bound = /^([<>])=(.*)$/.exec(expected ?? '');
  if (bound) {
    const length = type.endsWith('_length') ? 'a length of ' : '';
    return `expected ${length}${bound[1] === '>' ? 'at least' : 'at most'} ${bound[2]}, found ${found}`;
  }
  const kinds = (
    received === 'undefined' && type === 'strict_object' ? 'a value' : (expected ?? 'another value')
  )
    .replace(/^\((.*)\)$/, '$1')
    .split(' | ');
  return `expected ${kinds.map((kind) => WORDS[kind] ?? kind).join(' or ')}, found ${found}`;
}
