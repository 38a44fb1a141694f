import type { MlstmReading, SlstmReading, TracedCell, TraceStep } from '../generation/cell_trace.ts';

/** A model that read a text, with what its cells did. */
export interface TracedText {
  /** What errors and headings call the model. */
  readonly model: string;
  readonly cells: readonly TracedCell[];
  /** Texts of the tokens. */
  readonly tokens: readonly string[];
  /** Of each token. */
  readonly steps: readonly TraceStep[];
}

/** Rows of numbers with what they are. */
interface Heat {
  readonly title: string;
  readonly meaning: string;
  readonly rows: readonly ArrayLike<number>[];
  /** What a row and a column are called. */
  readonly place: (row: number, column: number) => string;
  readonly side: number;
}

const MEANING = {
  input: 'I = exp(i − m): how strongly the token is written',
  forget: 'F = exp(log σ(f) + m before − m): how much of the memory stays',
  m: 'm = max(log σ(f) + m before, i): the logarithm by which the memory is scaled',
  c: 'C = F · C before + I · k vᵀ: the matrix memory after the last token',
} as const;

/** Sides of a square, in pixels. */
const [TOKEN_SIDE, MEMORY_SIDE] = [14, 5];

const STYLE = `
:root { color-scheme: light dark; --ink: light-dark(#1b1c1e, #e9e6df); --muted: light-dark(#5f5c55, #a8a49b);
  --paper: light-dark(#fbfaf6, #15171a); --blue: light-dark(#1f4e79, #86b8e6); --red: light-dark(#a63d22, #ee9470);
  --rule: light-dark(#ddd9cf, #34383d); }
body { margin: 0 auto; max-width: 1240px; padding: 24px; background: var(--paper); color: var(--ink);
  font: 16px/1.5 system-ui, sans-serif; }
h1, h2 { font-family: Palatino, Georgia, serif; font-weight: 500; }
h2 { margin: 36px 0 4px; }
p, figcaption { color: var(--muted); font-size: .88rem; }
figure { margin: 10px 0; overflow-x: auto; }
.memories { display: flex; flex-wrap: wrap; gap: 8px 28px; }
svg { display: block; background: color-mix(in srgb, var(--rule) 40%, transparent); }
rect.p { fill: var(--blue); } rect.n { fill: var(--red); }
text { font: 11px ui-monospace, monospace; fill: var(--muted); text-anchor: middle; }
`;

/** A page of its own with the gates of every head over time and the memories at the end. A number tells its meaning where one points. */
export function gatesPage(traced: TracedText): string {
  const { model, cells, tokens, steps } = traced;
  const body = cells.map((cell, c) =>
    cellSection(
      cell,
      steps.map(({ readings }) => readings[c]),
      tokens,
    ),
  );
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>Gates of ${escaped(model)}</title><style>${STYLE}</style></head><body>
<h1>Gates of ${escaped(model)}</h1>
<p>“${escaped(tokens.join(''))}”, ${tokens.length} tokens. Blue: above 0, red: below; the strongest of each picture is named. Point at a square for its number.</p>
${body.join('\n')}
</body></html>
`;
}

function cellSection(
  cell: TracedCell,
  readings: readonly (MlstmReading | SlstmReading)[],
  tokens: readonly string[],
): string {
  const mean = cell.kind === 'slstm' ? ', the mean of its units' : '';
  const overTime = (['input', 'forget', 'm'] as const).map((name): Heat => {
    const perToken = readings.map((reading) => headMeans(reading[name], cell.heads));
    return {
      title: name === 'm' ? 'stabiliser' : `${name} gate`,
      meaning: `${MEANING[name]}${mean}`,
      rows: Array.from({ length: cell.heads }, (_, head) => perToken.map((values) => values[head])),
      place: (head, t) => `head ${head + 1}, token ${t + 1} “${tokens[t]}”`,
      side: TOKEN_SIDE,
    };
  });
  return `<section><h2>${escaped(cell.name)}: ${cell.kind === 'mlstm' ? 'mLSTM' : 'sLSTM'}, ${cell.heads} heads</h2>
${overTime.map((heat) => figure(heat, tokens)).join('\n')}
${cell.kind === 'mlstm' ? memories(cell, readings.at(-1) as MlstmReading) : ''}</section>`;
}

function memories(
  { heads, keyDim, valueDim }: Extract<TracedCell, { kind: 'mlstm' }>,
  { c }: MlstmReading,
): string {
  const figures = Array.from({ length: heads }, (_, head) =>
    figure({
      title: `memory C of head ${head + 1}`,
      meaning: MEANING.c,
      rows: Array.from({ length: keyDim }, (_, row) => {
        const from = (head * keyDim + row) * valueDim;
        return c.subarray(from, from + valueDim);
      }),
      place: (row, column) => `head ${head + 1}, row ${row + 1}, column ${column + 1}`,
      side: MEMORY_SIDE,
    }),
  );
  return `<div class="memories">${figures.join('\n')}</div>`;
}

function figure({ title, meaning, rows, place, side }: Heat, columns: readonly string[] = []): string {
  const most = rows.reduce((all, row) => Array.from(row).reduce((m, x) => Math.max(m, Math.abs(x)), all), 0);
  const width = side * rows[0].length;
  const height = side * rows.length;
  const squares = rows.flatMap((row, r) =>
    Array.from(row, (value, c) => {
      const at = `x="${c * side}" y="${r * side}" width="${side}" height="${side}"`;
      const look = `class="${value < 0 ? 'n' : 'p'}" fill-opacity="${(Math.abs(value) / (most || 1)).toFixed(3)}"`;
      return `<rect ${at} ${look}><title>${escaped(`${place(r, c)}: ${value.toPrecision(4)} · ${meaning}`)}</title></rect>`;
    }),
  );
  const names = columns.map(
    (text, c) => `<text x="${(c + 0.5) * side}" y="${height + 12}">${escaped(visible(text))}</text>`,
  );
  const whole = height + (names.length > 0 ? 18 : 0);
  return `<figure><figcaption>${escaped(title)}, up to ${most.toPrecision(3)}</figcaption><svg width="${width}" height="${whole}" role="img" aria-label="${escaped(`${title}: ${meaning}`)}">${squares.join('')}${names.join('')}</svg></figure>`;
}

/** Of an mLSTM there is one number a head already. */
function headMeans(values: ArrayLike<number>, heads: number): number[] {
  const size = values.length / heads;
  return Array.from({ length: heads }, (_, head) => {
    let sum = 0;
    for (let unit = 0; unit < size; unit++) sum += values[head * size + unit];
    return sum / size;
  });
}

const visible = (text: string): string => text.replaceAll(' ', '·').replaceAll('\n', '↵').slice(0, 1);

const escaped = (text: string): string => text.replace(/[&<>"]/g, (mark) => `&#${mark.charCodeAt(0)};`);
