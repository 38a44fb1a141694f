import { describe, expect, it } from 'vitest';
import { palette } from '../../charts/chart_style.ts';
import { SHADES, shadeOf } from './heat_map.ts';

type Triple = readonly [number, number, number];

/** Linear light of #rrggbb. */
function light(color: string): Triple {
  const channel = (at: number): number => {
    const value = Number.parseInt(color.slice(at, at + 2), 16) / 255;
    return value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
  };
  return [channel(1), channel(3), channel(5)];
}

const times = (matrix: readonly Triple[], [r, g, b]: Triple): Triple => {
  const [x, y, z] = matrix.map((row) => row[0] * r + row[1] * g + row[2] * b);
  return [x, y, z];
};

/** What eyes without one kind of cone see (Machado, Oliveira and Fernandes 2009, severity 1). */
const eyes: Readonly<Record<string, readonly Triple[]>> = {
  all: [
    [1, 0, 0],
    [0, 1, 0],
    [0, 0, 1],
  ],
  'no red': [
    [0.152286, 1.052583, -0.204868],
    [0.114503, 0.786281, 0.099216],
    [-0.003882, -0.048116, 1.051998],
  ],
  'no green': [
    [0.367322, 0.860646, -0.227968],
    [0.280085, 0.672501, 0.047413],
    [-0.01182, 0.04294, 0.968881],
  ],
};

const toXyz: readonly Triple[] = [
  [0.4124 / 0.95047, 0.3576 / 0.95047, 0.1805 / 0.95047],
  [0.2126, 0.7152, 0.0722],
  [0.0193 / 1.08883, 0.1192 / 1.08883, 0.9505 / 1.08883],
];

/** CIE L*a*b*, in which distances are about as large as they look. */
function lab(linear: Triple): Triple {
  const [x, y, z] = times(toXyz, linear).map((v) => (v > 0.008856 ? Math.cbrt(v) : 7.787 * v + 16 / 116));
  return [116 * y - 16, 500 * (x - y), 200 * (y - z)];
}

const contrast = (a: string, b: string): number => {
  const [low, high] = [a, b].map((color) => times(toXyz, light(color))[1]).sort((x, y) => x - y);
  return (high + 0.05) / (low + 0.05);
};

describe.each(['light', 'dark'] as const)('%s palette', (theme) => {
  const { grey: _, ...hues } = palette[theme];
  const colors = Object.entries(hues);

  it.each(Object.keys(eyes))('keeps hues apart for eyes with %s cones', (kind) => {
    for (const [a, first] of colors) {
      for (const [b, second] of colors) {
        if (a >= b) continue;
        const [p, q] = [first, second].map((color) => lab(times(eyes[kind], light(color))));
        expect(Math.hypot(p[0] - q[0], p[1] - q[1], p[2] - q[2]), `${a} and ${b}`).toBeGreaterThan(12);
      }
    }
  });

  it('stands out from the ground', () => {
    for (const [hue, color] of colors) {
      expect(contrast(color, theme === 'light' ? '#ffffff' : '#16181c'), hue).toBeGreaterThan(2.95);
    }
  });
});

describe('shades', () => {
  it('cover 0 to 1, and what lies outside', () => {
    expect([-0.1, 0, 0.5, 0.95, 1, 1.2].map(shadeOf)).toEqual([0, 0, 5, 10, 10, 10]);
    expect(shadeOf(1)).toBe(SHADES - 1);
  });
});
