import type { Hue, LineStyle, Marker } from './line_style.ts';
import {
  type Interval,
  linearScale,
  linearTicks,
  logScale,
  logTicks,
  niceDomain,
  type Scale,
  spread,
} from './scale.ts';
import { boldWidth, element, pixels, svgText, textWidth } from './svg.ts';

export interface Point {
  readonly x: number;
  readonly y: number;
  /** What a reader sees who points at it. */
  readonly tip?: string;
}

export interface Series {
  readonly name: string;
  readonly style: LineStyle;
  readonly points: readonly Point[];
  /** A line behind the others, without markers and name: another seed of the same model. */
  readonly faint?: boolean;
  /** The line stops because training diverged. */
  readonly broken?: boolean;
}

/** An area between two lines; where one lies within another the colour is deeper. */
export interface Band {
  /** In the legend; empty: not there. */
  readonly name: string;
  readonly hue: Hue;
  readonly points: readonly { readonly x: number; readonly low: number; readonly high: number }[];
}

export interface Axis {
  readonly label: string;
  readonly log?: boolean;
  /** Taken from the points where not given. */
  readonly domain?: Interval;
  readonly ticks?: number[];
  readonly format: (value: number) => string;
}

export interface ChartSpec {
  readonly title: string;
  readonly x: Axis;
  readonly y: Axis;
  /** A point that no axis can show breaks its line. */
  readonly series: readonly Series[];
  /** Areas behind the lines, each within the one before; they have their names in a legend. */
  readonly bands?: readonly Band[];
  /** A stretch of the x axis with a name, such as the lengths of training. */
  readonly shade?: { readonly from: number; readonly to: number; readonly label: string };
  /** A level worth comparing with, such as chance. */
  readonly level?: { readonly y: number; readonly label: string };
  /** Circles at the points of lines; left out where there are hundreds. */
  readonly markers: boolean;
  /** Pixels of the whole width, and of the height of what lies between the axes. Default: 540 and 230. */
  readonly size?: Size;
  /** Names above the plot. Default: at the ends of the lines, as long as there is room. */
  readonly legend?: boolean;
}

interface Size {
  readonly width: number;
  readonly plotHeight: number;
}

/** A chart as the content of an SVG element of this size. */
export interface DrawnChart {
  readonly markup: string;
  readonly width: number;
  readonly height: number;
  /** What it shows, in words. */
  readonly label: string;
}

const SIZE: Size = { width: 540, plotHeight: 230 };
/** Where the plot begins, unless the ticks of the y axis need more room. */
const LEFT = 64;
const TICK_SIZE = 11;
const TICK_GAP = 8;
/** For the label of the y axis. */
const LABEL_ROOM = 24;
const TOP = 14;
const BOTTOM = 44;
/** Between the baselines of names at the ends of lines. */
const NAME_GAP = 14;
const NAME_OFFSET = 20;

const dashes = { solid: undefined, dashed: '6 3', dotted: '1.5 3', dashdot: '7 3 1.5 3' } as const;

/** A line chart as an SVG element; undefined when no point can be shown on its axes. */
export function lineChart(spec: ChartSpec): string | undefined {
  const drawn = drawChart(spec);
  if (!drawn) return undefined;
  const { width, height, label, markup } = drawn;
  return element(
    'svg',
    { class: 'chart', viewBox: `0 0 ${width} ${height}`, role: 'img', 'aria-label': label },
    markup,
  );
}

/** A line chart; undefined when no point can be shown on its axes. */
export function drawChart(spec: ChartSpec): DrawnChart | undefined {
  const series = spec.series
    .map((one) => ({ ...one, points: withGaps(one.points, spec) }))
    .filter(({ points }) => points.length > 0);
  if (series.length === 0) return undefined;

  const { width, plotHeight } = spec.size ?? SIZE;
  const { bands = [] } = spec;
  const named = series.filter(({ faint }) => !faint);
  const direct =
    spec.legend !== true && bands.length === 0 && named.length * NAME_GAP <= plotHeight + NAME_GAP;
  const right = direct ? NAME_OFFSET + 6 + Math.max(...named.map(({ name }) => boldWidth(name))) : 16;
  const legend = direct ? { markup: '', height: 0 } : drawLegend(named, bands, width, spec.markers);
  const top = TOP + legend.height;
  const bottom = top + plotHeight;
  const height = bottom + BOTTOM;

  const points = series.flatMap((one) => one.points);
  const edges = bands.flatMap((band) => band.points);
  const y = scaleOf(
    spec.y,
    [...points.map((point) => point.y), ...edges.flatMap(({ low, high }) => [low, high])],
    [bottom, top],
    true,
  );
  const tickWidth = Math.max(...y.ticks.map((tick) => textWidth(spec.y.format(tick), TICK_SIZE)));
  const left = Math.max(LEFT, tickWidth + TICK_GAP + LABEL_ROOM);
  const x = scaleOf(
    spec.x,
    [...points, ...edges].map((point) => point.x),
    [left, width - right],
    false,
  );
  const clip = `clip-${identifier(spec.title)}`;
  const frame = element('rect', {
    x: left - 5,
    y: top - 5,
    width: width - right - left + 10,
    height: plotHeight + 10,
  });

  const parts = [
    element('clipPath', { id: clip }, frame),
    spec.shade ? drawShade(spec.shade, x, [top, bottom]) : '',
    drawAxes(spec, x, y, [top, bottom]),
    spec.level ? drawLevel(spec.level, x, y) : '',
    element(
      'g',
      { 'clip-path': `url(#${clip})` },
      [
        ...bands.map((band) => drawBand(band, x, y)),
        ...series.map((one) => drawSeries(one, x, y, spec.markers)),
      ].join(''),
    ),
    direct ? drawNames(named, x, y, [top, bottom]) : legend.markup,
  ];
  const label = `${spec.title}: ${spec.y.label} against ${spec.x.label} for ${named.map(({ name }) => name).join(', ')}`;
  return { markup: parts.join(''), width, height, label };
}

interface ShownPoint extends Point {
  /** The one before it cannot be shown. */
  readonly gap: boolean;
}

interface ShownSeries extends Series {
  readonly points: readonly ShownPoint[];
}

function withGaps(points: readonly Point[], spec: ChartSpec): ShownPoint[] {
  const shown: ShownPoint[] = [];
  let gap = false;
  for (const point of points) {
    if (showable(point, spec)) shown.push({ ...point, gap });
    gap = !showable(point, spec);
  }
  return shown;
}

function showable({ x, y }: Point, spec: ChartSpec): boolean {
  const fits = (value: number, { log }: Axis): boolean => Number.isFinite(value) && (!log || value > 0);
  return fits(x, spec.x) && fits(y, spec.y);
}

function scaleOf(axis: Axis, values: readonly number[], range: Interval, widen: boolean): Scale {
  const found: Interval = [least(values), greatest(values)];
  const domain = axis.domain ?? (widen && !axis.log ? niceDomain(found, 5) : found);
  if (axis.log) return logScale(domain, range, axis.ticks ?? logTicks(domain, 6));
  return linearScale(domain, range, axis.ticks ?? linearTicks(domain, 5));
}

const least = (values: readonly number[]): number =>
  values.reduce((least, value) => Math.min(least, value), Number.POSITIVE_INFINITY);
const greatest = (values: readonly number[]): number =>
  values.reduce((most, value) => Math.max(most, value), Number.NEGATIVE_INFINITY);

const identifier = (title: string): string =>
  title.replace(/[^a-z0-9]+/gi, (run) => `_${run.codePointAt(0)!.toString(36)}_`);

function drawAxes({ x: xAxis, y: yAxis }: ChartSpec, x: Scale, y: Scale, [top, bottom]: Interval): string {
  const [left, right] = x.domain.map(x.at);
  const rows = y.ticks.map((tick) => {
    const at = y.at(tick);
    const line = element('line', { class: 'grid', x1: left, x2: right, y1: at, y2: at });
    return (
      line + svgText(left - TICK_GAP, at + 4, yAxis.format(tick), { class: 'tick', 'text-anchor': 'end' })
    );
  });
  const columns = withRoom(x, xAxis.format).map((tick) => {
    const at = x.at(tick);
    const line = element('line', { class: 'axis', x1: at, x2: at, y1: bottom, y2: bottom + 4 });
    return line + svgText(at, bottom + 18, xAxis.format(tick), { class: 'tick', 'text-anchor': 'middle' });
  });
  const middle = (top + bottom) / 2;
  return [
    ...rows,
    element('line', { class: 'axis', x1: left, x2: right, y1: bottom, y2: bottom }),
    ...columns,
    svgText((left + right) / 2, bottom + 36, xAxis.label, { class: 'label', 'text-anchor': 'middle' }),
    svgText(0, 0, yAxis.label, {
      class: 'label',
      'text-anchor': 'middle',
      transform: `translate(13 ${pixels(middle)}) rotate(-90)`,
    }),
  ].join('');
}

/** The ticks whose labels do not run into the one before. */
function withRoom({ ticks, at }: Scale, format: (value: number) => string): number[] {
  let free = Number.NEGATIVE_INFINITY;
  return ticks.filter((tick) => {
    const half = textWidth(format(tick), TICK_SIZE) / 2 + 3;
    if (at(tick) - half < free) return false;
    free = at(tick) + half;
    return true;
  });
}

function drawShade(
  { from, to, label }: NonNullable<ChartSpec['shade']>,
  x: Scale,
  [top, bottom]: Interval,
): string {
  const inside = (value: number): number => Math.min(Math.max(value, x.domain[0]), x.domain[1]);
  const [left, right] = [x.at(inside(from)), x.at(inside(to))];
  if (right - left < 1) {
    // Training at one length, or below the lengths tested.
    const line = element('line', {
      class: 'shade-edge',
      x1: right,
      x2: right,
      y1: top,
      y2: bottom,
    });
    return line + svgText(right + 5, top + 12, label, { class: 'note' });
  }
  const area = element('rect', {
    class: 'shade',
    x: left,
    y: top,
    width: right - left,
    height: bottom - top,
  });
  return area + svgText(left + 5, top + 12, label, { class: 'note' });
}

function drawLevel({ y: value, label }: NonNullable<ChartSpec['level']>, x: Scale, y: Scale): string {
  const at = y.at(value);
  const [left, right] = x.domain.map(x.at);
  const line = element('line', { class: 'level', x1: left, x2: right, y1: at, y2: at });
  return line + svgText(left + 5, at - 4, label, { class: 'note' });
}

function drawBand({ points, hue }: Band, x: Scale, y: Scale): string {
  const upper = points.map(({ x: at, high }) => `${pixels(x.at(at))} ${pixels(y.at(high))}`);
  const lower = points.map(({ x: at, low }) => `${pixels(x.at(at))} ${pixels(y.at(low))}`).reverse();
  return element('path', { class: `band ${hue}`, d: `M${[...upper, ...lower].join('L')}Z` });
}

/** So many points lie too close for the weight of a line of few. */
const FINE = 200;

function drawSeries(
  { points, style, faint, broken }: ShownSeries,
  x: Scale,
  y: Scale,
  markers: boolean,
): string {
  const places = points.map((point) => ({ ...point, left: x.at(point.x), top: y.at(point.y) }));
  const path = places
    .map(({ left, top, gap }, k) => `${k && !gap ? 'L' : 'M'}${pixels(left)} ${pixels(top)}`)
    .join('');
  const line =
    places.length > 1
      ? element('path', {
          class: `line ${style.hue}${faint ? ' faint' : places.length > FINE ? ' fine' : ''}`,
          d: path,
          'stroke-dasharray': dashes[style.dash],
        })
      : '';
  const end = places.at(-1);
  const cross =
    broken && end
      ? element('path', {
          class: `cross ${style.hue}`,
          d: `M${pixels(end.left - 5)} ${pixels(end.top - 5)}l10 10m0 -10l-10 10`,
        })
      : '';
  if (faint) return line + cross;
  // A single point is seen only by its marker.
  const marked = places.map(({ left, top, tip }) => {
    const shown = markers || places.length === 1;
    if (!shown && tip === undefined) return '';
    const attributes = { class: shown ? `marker ${style.hue}` : 'spot', 'data-tip': tip };
    return shown
      ? drawMarker(style.marker, left, top, attributes)
      : element('circle', { cx: left, cy: top, r: 6, ...attributes });
  });
  return line + marked.join('') + cross;
}

const outlines: Readonly<Record<Marker, string>> = {
  circle: 'm-3.6 0a3.6 3.6 0 1 0 7.2 0a3.6 3.6 0 1 0 -7.2 0z',
  square: 'm-3.2 -3.2h6.4v6.4h-6.4z',
  triangle: 'm0 -4.3l4.2 7.4h-8.4z',
  diamond: 'm0 -4.6l4.6 4.6l-4.6 4.6l-4.6 -4.6z',
};

const drawMarker = (
  marker: Marker,
  left: number,
  top: number,
  attributes: Readonly<Record<string, string | undefined>>,
): string => element('path', { d: `M${pixels(left)} ${pixels(top)}${outlines[marker]}`, ...attributes });

/** Width of a sample line with its marker in the middle: dashes need room on both sides. */
export const SAMPLE = 34;

const plainSample = ({ hue, dash }: LineStyle, left: number, top: number): string =>
  element('path', {
    class: `line ${hue}`,
    d: `M${pixels(left)} ${pixels(top)}h${SAMPLE}`,
    'stroke-dasharray': dashes[dash],
  });

/** The line and marker of a model, for legends and row heads. */
export const lineSample = (style: LineStyle, left: number, top: number): string =>
  plainSample(style, left, top) +
  drawMarker(style.marker, left + SAMPLE / 2, top, { class: `marker ${style.hue}` });

/** Names where the lines end, moved apart where they would lie on each other. */
function drawNames(series: readonly Series[], x: Scale, y: Scale, [top, bottom]: Interval): string {
  const ends = series.map(({ points }) => points[points.length - 1]);
  const heights = ends.map((end) => Math.min(Math.max(y.at(end.y), top), bottom));
  const placed = spread(heights, NAME_GAP, [top, bottom]);
  const right = x.at(x.domain[1]);
  return series
    .map(({ name, style }, k) => {
      const from = x.at(ends[k].x) + 6;
      const to = right + NAME_OFFSET - 3;
      const leader = `M${pixels(from)} ${pixels(heights[k])}L${pixels(right + 7)} ${pixels(heights[k])}L${pixels(to)} ${pixels(placed[k])}`;
      return (
        element('path', { class: `leader ${style.hue}`, d: leader }) +
        svgText(right + NAME_OFFSET, placed[k] + 4, name, { class: `name ${style.hue}` })
      );
    })
    .join('');
}

/** Rows of samples with names above the plot, for more lines than have room at their ends. */
function drawLegend(
  series: readonly Series[],
  bands: readonly Band[],
  most: number,
  markers: boolean,
): { markup: string; height: number } {
  const ROW = 17;
  let left = LEFT;
  let top = TOP - 2;
  const samples = [
    ...series.map(({ name, style }) => ({
      name,
      draw: () => (markers ? lineSample : plainSample)(style, left, top),
    })),
    ...bands
      .filter(({ name }) => name !== '')
      .map(({ name, hue }, within) => ({
        name,
        draw: () =>
          element('rect', { class: `band ${hue}`, x: left, y: top - 6, width: SAMPLE, height: 12 }).repeat(
            within + 1,
          ),
      })),
  ];
  const parts = samples.map(({ name, draw }) => {
    const width = SAMPLE + 6 + textWidth(name) + 14;
    if (left + width > most && left > LEFT) {
      left = LEFT;
      top += ROW;
    }
    const part = draw() + svgText(left + SAMPLE + 6, top + 4, name, { class: 'legend' });
    left += width;
    return part;
  });
  return { markup: parts.join(''), height: top + ROW - TOP };
}
