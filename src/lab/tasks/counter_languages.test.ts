import { describe, expect, it } from 'vitest';
import { Random } from '../../random.ts';
import { anbn, anbncn } from './counter_languages.ts';

describe('counter languages', () => {
  it.each([
    { task: anbn, letters: 'ab' },
    { task: anbncn, letters: 'abc' },
  ])('$task.title asks where exactly one symbol can follow', ({ task, letters }) => {
    const word = (n: number): string => letters.replaceAll(/./g, (letter) => letter.repeat(n));
    const language = Array.from({ length: 140 }, (_, k) => `${word(k + 1)}.`);
    const name = (id: number): string => (task.symbols[id] === 'END' ? '.' : task.symbols[id]);
    for (let length = task.shortest; length <= 130; length++) {
      const { tokens, targets } = task.sample(new Random(length), length);
      const text = tokens.map(name).join('');
      expect(text).toBe(word(Math.floor((length - 1) / letters.length)));
      for (let t = 0; t < text.length; t++) {
        const start = text.slice(0, t + 1);
        const next = new Set(language.filter((w) => w.startsWith(start)).map((w) => w[t + 1]));
        expect(next.size === 1 ? [...next] : []).toEqual(targets[t] < 0 ? [] : [name(targets[t])]);
      }
    }
  });
});
