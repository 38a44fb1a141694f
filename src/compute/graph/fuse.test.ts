import { describe, expect, it } from 'vitest';
import { Region } from '../program/region.ts';
import { differentiate, reachable } from './differentiate.ts';
import { add, exp, multiply, sum, tanh } from './elementwise.ts';
import { fuse, Group, type Item, MAX_MEMBERS } from './fuse.ts';
import { linear } from './matmul.ts';
import { leaf, type Tensor } from './tensor.ts';
import { assign } from './views.ts';

const region = new Region('inputs');
const x = leaf(region, 'x', [4, 8]);
const w = leaf(region, 'w', [8, 8]);
const target = leaf(region, 'target', [4, 8]);

const items = (...roots: Tensor[]): Item[] => fuse(reachable(roots), new Set(roots));
const groups = (list: readonly Item[]): Group[] => list.filter((item) => item instanceof Group);
const functions = (group: Group): string[] => [...group.members].map((m) => m.attributes.fn);

describe('fuse', () => {
  it('makes one group of a chain, and keeps its last value alone', () => {
    const y = exp(multiply(add(x, 1), x));
    const [group, ...others] = groups(items(y));
    expect(others).toEqual([]);
    expect(functions(group)).toEqual(['constant', 'add', 'multiply', 'exp']);
    expect([...group.stored]).toEqual([y.node]);
  });

  it('ends a group before a call that reads one of its values', () => {
    const a = exp(x);
    const y = tanh(add(linear(a, w), a));
    const list = items(y);
    expect(list.map((item) => (item instanceof Group ? functions(item).join() : item.op.name))).toEqual([
      'leaf',
      'leaf',
      'exp',
      'matmul',
      'add,tanh',
    ]);
  });

  it('joins groups that meet', () => {
    const y = add(exp(x), tanh(target));
    expect(groups(items(y)).map(functions)).toEqual([['exp', 'tanh', 'add']]);
  });

  it('computes values of the forward pass again in the backward pass rather than store them', () => {
    const a = exp(x);
    const b = multiply(a, a);
    const y = linear(b, w);
    const [dx] = differentiate([sum(y)], [x]);
    const [forward, ...backward] = groups(items(y, dx as Tensor)).filter((g) => functions(g).includes('exp'));
    expect([...forward.stored]).toEqual([b.node]);
    expect(backward).toHaveLength(1);
  });

  it('does not so for values that are outputs', () => {
    const a = exp(x);
    const y = linear(multiply(a, a), w);
    const [dx] = differentiate([sum(y)], [x]);
    expect(groups(items(a, y, dx as Tensor)).filter((g) => functions(g).includes('exp'))).toHaveLength(1);
  });

  it('closes every group before memory is overwritten', () => {
    const before = exp(target);
    const written = assign(target, linear(x, w));
    const list = items(before, written);
    const at = (test: (item: Item) => boolean): number => list.findIndex(test);
    expect(at((item) => item instanceof Group)).toBeLessThan(
      at((item) => !(item instanceof Group) && item.op.name === 'assign'),
    );
  });

  it('splits a long chain into groups of bounded size', () => {
    let y = x;
    for (let i = 0; i < 1000; i++) y = tanh(y);
    const sizes = groups(items(y)).map((g) => g.members.size);
    expect(Math.max(...sizes)).toBeLessThanOrEqual(MAX_MEMBERS);
    expect(sizes).toHaveLength(Math.ceil(1000 / MAX_MEMBERS));
  });
});
