import { expect, it } from 'vitest';
import { allFieldsOf, readFields } from './config_fields.ts';

interface Small {
  readonly width: number;
  readonly inner: { readonly name: 'a' | 'b'; readonly on: boolean };
}

const width = { path: 'width', official: 'width', flat: 'width', kind: 'size' } as const;
const name = {
  path: 'inner.name',
  official: 'inner.name',
  flat: 'name',
  kind: ['a', 'b'],
  absent: 'a',
} as const;
const on = { path: 'inner.on', official: 'inner.on', flat: 'on', kind: 'flag', absent: true } as const;
const fields = allFieldsOf<Small>();

it('reads a configuration of the type whose fields the table has', () => {
  const read: Small = readFields(fields([width, name, on]), { width: 3, name: 'b' }, 'small', 'flat');
  expect(read).toEqual({ width: 3, inner: { name: 'b', on: true } });
});

it('does not compile with a table that would read something else', () => {
  // @ts-expect-error: a field is missing
  fields([width, name]);
  // @ts-expect-error: a flag is no number
  fields([{ ...width, kind: 'flag' }, name, on]);
  // @ts-expect-error: a name that the type has not
  fields([width, { ...name, kind: ['a', 'c'] }, on]);
  // @ts-expect-error: a default of another type
  fields([width, name, { ...on, absent: 0 }]);
  // @ts-expect-error: no such path
  fields([width, name, on, { ...on, path: 'inner.off' }]);
});
