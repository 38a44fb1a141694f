import { describe, expect, it } from 'vitest';
import type { ChartSpec, Point } from './line_chart.ts';
import { svgFile } from './svg_file.ts';

const chart = (points: readonly Point[], more: Partial<ChartSpec> = {}): ChartSpec => ({
  title: 'heights',
  x: { label: 'row', format: String },
  y: { label: 'height', format: String },
  series: [{ name: 'height', style: { hue: 'blue', dash: 'solid', marker: 'circle' }, points }],
  markers: false,
  legend: true,
  ...more,
});
const line = [1, 2, 3].map((x) => ({ x, y: 10 * x }));

describe('an SVG file', () => {
  it('says its colours itself, and what it shows', () => {
    const svg = svgFile('A & B', [chart(line)]);
    expect(svg).toMatch(/^<svg xmlns="http:\/\/www\.w3\.org\/2000\/svg" width="572" height="\d+"/);
    expect(svg).toContain('>A &amp; B</text>');
    expect(svg).toContain('.line.blue{stroke:#0058a3}');
    expect(svg).not.toMatch(/var\(|undefined|NaN/);
    expect(svg).toContain('heights: height against row for height');
  });

  it('breaks a line where a value is missing', () => {
    const gap = [...line, { x: 4, y: Number.NaN }, { x: 5, y: 20 }, { x: 6, y: 10 }];
    const paths = [...svgFile('t', [chart(gap)]).matchAll(/class="line blue" d="([^"]*)"/g)];
    // The other one is the sample of the legend.
    expect(paths.map(([, d]) => d.replaceAll(/[^ML]/g, ''))).toContain('MLLML');
  });

  it('draws bands within the axes, which are made for them', () => {
    const points = line.map(({ x, y }) => ({ x, low: y - 50, high: y + 50 }));
    const svg = svgFile('t', [chart(line, { bands: [{ name: 'around', hue: 'blue', points }] })]);
    expect(svg).toMatch(/class="band blue" d="M[\d. ]+L[\d. ]+L[\d. ]+L[\d. ]+L[\d. ]+L[\d. ]+Z"/);
    expect(svg).toContain('>-40</text>');
    expect(svg).toContain('>80</text>');
    expect(svg).toContain('>around</text>');
  });

  it('leaves out a chart without a point', () => {
    expect(svgFile('t', [chart([{ x: 1, y: Number.NaN }])])).not.toContain('heights');
  });
});
