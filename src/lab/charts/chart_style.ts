import type { Hue } from './line_style.ts';

/** Hues that simulated colour blindness leaves apart, for white paper and for a dark screen. */
export const palette = {
  light: {
    blue: '#0058a3',
    vermilion: '#c23a05',
    purple: '#c060ae',
    ink: '#1d1d1f',
    green: '#00876c',
    gold: '#bb8e00',
    sky: '#3c99d6',
    brown: '#6b4020',
    grey: '#77777c',
  },
  dark: {
    blue: '#4b95e6',
    vermilion: '#f27438',
    purple: '#e795d8',
    ink: '#f2f2f2',
    green: '#2fb896',
    gold: '#efd65c',
    sky: '#a5dcff',
    brown: '#b07c58',
    grey: '#9a9aa0',
  },
} as const;

export const surfaces = {
  light: {
    page: '#ffffff',
    text: '#1d1d1f',
    soft: '#5c5c63',
    rule: '#d6d6da',
    grid: '#ececef',
    shade: '#f3f1ea',
    panel: '#f7f7f8',
    hatch: '#d98c73',
  },
  dark: {
    page: '#16181c',
    text: '#ececee',
    soft: '#a6a6ad',
    rule: '#43464d',
    grid: '#292c32',
    shade: '#24262a',
    panel: '#1e2126',
    hatch: '#8a4b36',
  },
} as const;

export type Theme = keyof typeof palette;

/** Rules of charts, with what `color` gives for the name of a surface. */
export const chartRules = (color: (name: keyof (typeof surfaces)['light']) => string): string =>
  `
svg text{fill:${color('text')}}
svg .tick{fill:${color('soft')};font-size:11px}
svg .label,svg .note{fill:${color('soft')};font-size:11.5px}
.grid{stroke:${color('grid')}}
.axis{stroke:${color('rule')}}
.shade{fill:${color('shade')}}
.shade-edge{stroke:${color('soft')};stroke-dasharray:2 3}
.level{stroke:${color('soft')};stroke-dasharray:4 4;opacity:.7}
.line{fill:none;stroke-width:2;stroke-linejoin:round;stroke-linecap:butt}
.fine{stroke-width:1.3}
.faint{stroke-width:1.2;opacity:.35}
.band{stroke:none;opacity:.2}
.marker{stroke:${color('page')};stroke-width:1}
.spot{fill:transparent}
.cross{fill:none;stroke-width:2.4}
.leader{fill:none;stroke-width:.8;opacity:.55}
svg .name{font-weight:600}`.trim();

const HUED = {
  '.line': 'stroke',
  '.cross': 'stroke',
  '.leader': 'stroke',
  '.marker': 'fill',
  '.band': 'fill',
  'svg .name': 'fill',
} as const;

/** What takes a hue, for things of one class more, or of none. */
export const hueRules = (hue: Hue | '', color: string): string =>
  Object.entries(HUED)
    .map(([thing, property]) => `${thing}${hue ? `.${hue}` : ''}{${property}:${color}}`)
    .join('\n');
