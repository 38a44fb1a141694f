import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { StopFilter } from './stop_strings.ts';

/** What a stream of tokens lets out, and which of them were let out in full. */
function filterAll(stops: readonly string[], pieces: readonly string[]) {
  const filter = new StopFilter(stops);
  const outputs: string[] = [];
  const released: number[] = [];
  for (const [id, piece] of pieces.entries()) {
    outputs.push(filter.push(id, piece));
    released.push(...filter.released);
    if (filter.stopped)
      return { text: outputs.join(''), outputs, released, held: filter.held, stopped: true };
  }
  outputs.push(filter.flush(''));
  return { text: outputs.join(''), outputs, released, held: filter.held, stopped: false };
}

/** The text before the stop string that ends first. */
function cut(text: string, stops: readonly string[]): string {
  for (let end = 1; end <= text.length; end++) {
    const starts = stops.filter((stop) => text.slice(0, end).endsWith(stop)).map((stop) => end - stop.length);
    if (starts.length > 0) return text.slice(0, Math.min(...starts));
  }
  return text;
}

const anyText = fc.string({ unit: fc.constantFrom('a', 'b', 'é'), maxLength: 5 });

describe('StopFilter', () => {
  it('cuts before the stop string that ends first, however the text is divided', () => {
    const anyStops = fc.array(
      anyText.filter((text) => text !== ''),
      { minLength: 1, maxLength: 3 },
    );
    fc.assert(
      fc.property(anyStops, fc.array(anyText, { maxLength: 12 }), (stops, pieces) => {
        const text = pieces.join('');
        const found = filterAll(stops, pieces);
        expect(found.text).toBe(cut(text, stops));
        expect(found.stopped).toBe(stops.some((stop) => text.includes(stop)));
        if (found.stopped) {
          // Every token is let out or held, in order, and those let out spell a part of the output.
          expect([...found.released, ...found.held]).toEqual(found.outputs.map((_, id) => id));
          const spelled = found.released.map((id) => pieces[id]).join('');
          expect(found.text.startsWith(spelled)).toBe(true);
        }
      }),
      { numRuns: 2000 },
    );
  });

  it('holds back no more than may become a stop string', () => {
    expect(filterAll(['aab'], ['a', 'a', 'a', 'a', 'c']).outputs).toEqual(['', '', 'a', 'a', 'aac', '']);
    expect(filterAll(['\n\n'], ['x\n', 'y', '\n', '\n']).outputs).toEqual(['x', '\ny', '', '']);
    expect(filterAll([], ['a', 'b']).outputs).toEqual(['a', 'b', '']);
  });

  it('tells which tokens are out', () => {
    const filter = new StopFilter('stop');
    expect([filter.push(7, 'last'), filter.held, filter.released]).toEqual(['la', [7], []]);
    expect([filter.push(8, ''), filter.held]).toEqual(['', [7, 8]]);
    expect([filter.push(9, 'é st'), filter.held, filter.released]).toEqual(['sté ', [8, 9], [7]]);
    expect([filter.push(4, 'op!'), filter.held, filter.stopped]).toEqual(['', [8, 9, 4], true]);
  });

  it('refuses empty stop strings', () => {
    const message = 'stop: expected texts that are not empty, found ["a", ""]';
    expect(() => new StopFilter(['a', ''])).toThrow(expect.objectContaining({ code: 'usage', message }));
  });
});
