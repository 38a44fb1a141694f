/** Whether a path has signs that stand for several: `*`, `?`, `[…]`, `{…,…}`. */
export const isGlob = (path: string): boolean => /[*?]|\[.+\]|\{.*,.*\}/.test(path);

/** The folder below which all lies that a pattern can mean, and what a path below must match as a whole. */
export function parseGlob(pattern: string): {
  readonly folder: string;
  readonly matches: (path: string) => boolean;
} {
  const parts = pattern.replaceAll('\\', '/').split('/');
  const fixed = parts.findIndex(isGlob);
  const folder = parts.slice(0, fixed).join('/') || (pattern.startsWith('/') ? '/' : '.');
  const wanted = new RegExp(
    `^${parts.slice(fixed).map(partPattern).join('/').replaceAll('(?:.*)/', '(?:.*/)?')}$`,
  );
  return { folder, matches: (path) => wanted.test(path.replaceAll('\\', '/')) };
}

/** One step of a path as a regular expression; `**` is any number of steps. */
function partPattern(part: string): string {
  if (part === '**') return '(?:.*)';
  let braces = 0;
  return part.replace(/\[!?[^\]]+\]|[\s\S]/g, (sign) => {
    if (sign === '*') return '[^/]*';
    if (sign === '?') return '[^/]';
    if (sign.length > 1) return sign.replace(/^\[!/, '[^').replaceAll('\\', '\\\\');
    if (sign === '{') {
      braces++;
      return '(?:';
    }
    if (sign === '}' && braces > 0) {
      braces--;
      return ')';
    }
    if (sign === ',' && braces > 0) return '|';
    return sign.replace(/[\\^$.|+()[\]{}]/, '\\$&');
  });
}
