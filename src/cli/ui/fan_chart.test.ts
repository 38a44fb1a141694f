import stringWidth from 'string-width';
import { describe, expect, it } from 'vitest';
import { renderFanChart } from './fan_chart.ts';
import { createStyle } from './style.ts';

const legend = { history: 'as it was', median: 'median', band: '10 % to 90 %' };
const labels = ['2024-01-01', '2024-01-09', '2024-01-12'] as const;
const flat = (value: number): number[] => [value, value, value, value];

describe('a fan chart', () => {
  it('has the history at the left, the median in its bands at the right, and nothing beyond the width', () => {
    const lines = renderFanChart(
      {
        history: [1, 2, 3, 4, Number.NaN, 4, 3, 4],
        quantiles: [flat(0), flat(2), flat(4), flat(6), flat(8)],
        ...{ labels, legend },
      },
      { width: 60, rows: 8 },
      createStyle(false),
    );
    expect(lines).toHaveLength(10);
    expect(Math.max(...lines.slice(0, 9).map((line) => stringWidth(line)))).toBeLessThanOrEqual(60);
    expect(lines[0]).toMatch(/^8 ┤ +░+$/);
    expect(lines[7]).toMatch(/^0 ┤ .*░+$/);
    const plot = lines.slice(0, 8).map((line) => line.slice(4));
    const begin = Math.round((8 / 12) * 56);
    for (const line of plot) expect(line.slice(0, begin - 1)).not.toMatch(/[░▒]/);
    expect(plot.some((line) => /[\u2801-\u28ff]/.test(line.slice(0, begin - 2)))).toBe(true);
    // The median runs through the inner band.
    expect(plot.some((line) => /[\u2801-\u28ff]{8}$/.test(line))).toBe(true);
    expect(plot.filter((line) => /▒{4}/.test(line)).length).toBeGreaterThan(1);
    expect(lines[8].trim()).toMatch(/^2024-01-01 +2024-01-09 +2024-01-12$/);
    expect(lines[9]).toContain('as it was');
  });

  it('of a constant has no bands', () => {
    const lines = renderFanChart(
      { history: [5, 5, 5], quantiles: [flat(5), flat(5), flat(5)], labels, legend },
      { width: 40, rows: 4 },
      createStyle(false),
    );
    expect(lines.slice(0, 4).join('')).not.toMatch(/[░▒]/);
    expect(lines.slice(0, 4).join('').match(/5/g)).toHaveLength(1);
  });
});
