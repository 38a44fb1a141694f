import { describe, expect, it } from 'vitest';
import { TokenWindow } from './token_window.ts';

describe('TokenWindow', () => {
  it('keeps the last tokens', () => {
    const window = new TokenWindow(3);
    expect(window.length).toBe(0);
    for (const id of [5, 6]) window.push(id);
    expect([...window.toArray()]).toEqual([5, 6]);
    for (const id of [7, 8]) window.push(id);
    expect([...window.toArray()]).toEqual([6, 7, 8]);
    expect(window.length).toBe(3);
    expect([window.back(0), window.back(2)]).toEqual([8, 6]);
  });

  it('copies without a link', () => {
    const window = new TokenWindow(2);
    window.push(1);
    const copy = window.copy();
    copy.push(2);
    window.push(3);
    expect([...window.toArray()]).toEqual([1, 3]);
    expect([...copy.toArray()]).toEqual([1, 2]);
  });
});
