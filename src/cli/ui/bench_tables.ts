import { formatBytes, formatCount, formatInteger, formatPercent } from '../../format.ts';
import type { LengthReport } from '../../lab/bench/length.ts';
import type { PeersReport } from '../../lab/bench/peers.ts';
import type { KernelTime, ProfileReport } from '../../lab/bench/profile.ts';
import type { Spread } from '../../lab/bench/statistics.ts';
import type { ModelReport, ModelShape, ReportHead } from '../../lab/bench/subject.ts';
import type { Output } from '../output.ts';
import { type Column, renderTable } from './table.ts';

/** Three significant digits, or all that stand before the point. */
const figure = (value: number): string =>
  Math.abs(value) >= 100 ? formatInteger(value) : String(Number(value.toPrecision(3)));

const names: Readonly<Record<string, string>> = {
  tokensPerSecond: 'tokens/s',
  stepMs: 'ms per step',
  msPerToken: 'ms per token',
  totalMs: 'ms',
  gflops: 'GFLOP/s',
  usPerCall: 'µs per call',
  programBytes: 'memory of a step',
  stateBytes: 'state',
};

const isSpread = (value: unknown): value is Spread =>
  typeof value === 'object' && value !== null && 'median' in value;

function modelText({ architecture, blocks, dim, heads, slstmAt, vocab }: ModelShape): string {
  const slstm = slstmAt === 'all' ? 'all sLSTM' : slstmAt.length > 0 ? `sLSTM at ${slstmAt}` : 'all mLSTM';
  const kind = architecture === 'xlstm' ? slstm : architecture;
  return `${blocks} blocks (${kind}), dim ${dim}, ${heads} heads, vocabulary ${vocab}`;
}

/** Everything of a report that is not measured, in a line or two. */
function printHead(output: Output, report: ReportHead & Partial<ModelReport>): void {
  const { bench, instructionSet, repeats, model, parameters } = report;
  output.line(`${output.style.strong(bench)}  ${instructionSet}, ${repeats} repetitions`);
  const count = parameters === undefined ? '' : `, ${formatCount(parameters)} parameters`;
  if (model) output.line(output.style.dim(`${modelText(model)}${count}`));
}

function printTable(output: Output, columns: readonly Column[], rows: readonly (readonly string[])[]): void {
  output.line();
  output.line(renderTable({ columns, rows }, output.style, output.width));
}

const headers = (...texts: string[]): Column[] =>
  texts.map((text) => {
    const [header, unit] = text.split('|');
    return { header, unit };
  });

/** A report whose figures stand beside each other. */
export function printFigures(output: Output, report: ReportHead & Partial<ModelReport>): void {
  printHead(output, report);
  const settings = Object.entries(report).filter(
    ([name, value]) => ['number', 'string'].includes(typeof value) && !names[name] && !(name in headNames),
  );
  output.line(output.style.dim(settings.map(([name, value]) => `${name} ${value}`).join(', ')));
  const rows = Object.entries(report)
    .filter(([, value]) => isSpread(value))
    .map(([name, { median, min, max }]) => [names[name], figure(median), figure(min), figure(max)]);
  for (const [name, value] of Object.entries(report)) {
    if (name.endsWith('Bytes')) rows.push([names[name], formatBytes(value), '', '']);
  }
  printTable(output, headers('figure', 'median', 'least', 'greatest'), rows);
}

/** What of a report its first lines say already. */
const headNames = {
  bench: true,
  engine: true,
  instructionSet: true,
  threads: true,
  repeats: true,
  parameters: true,
};

export function printLengths(output: Output, report: LengthReport): void {
  printHead(output, report);
  const { tokensPerStep, lengths } = report;
  output.line(output.style.dim(`training with ${formatInteger(tokensPerStep)} tokens per step`));
  printTable(
    output,
    headers(
      'length',
      'batch',
      'training|tokens/s',
      'relative',
      'memory|of a step',
      'decoding|ms/token',
      'relative',
      'state',
      'resident|memory',
    ),
    lengths.map((row) => [
      formatInteger(row.length),
      formatInteger(row.batch),
      figure(row.trainTokensPerSecond.median),
      row.trainRelative.toFixed(2),
      formatBytes(row.trainBytes),
      figure(row.decodeMsPerToken.median),
      row.decodeRelative.toFixed(2),
      formatBytes(row.stateBytes),
      formatBytes(row.residentBytes),
    ]),
  );
}

/** Rows of the second table: the rest is in the JSON. */
const MOST_SHAPES = 24;

export function printProfile(output: Output, report: ProfileReport): void {
  printHead(output, report);
  const { program, calls, runMs, profiledMs, gflops, peaks, kernels, shapes } = report;
  output.line(
    `${program}: ${calls} calls, ${figure(runMs.median)} ms a run (${figure(profiledMs)} ms call by call), ` +
      `${figure(gflops)} GFLOP/s, ${formatPercent(gflops / peaks.gflops)} of the peak`,
  );
  output.line(
    output.style.dim(
      `peaks: ${figure(peaks.gflops)} GFLOP/s in a product of 512³, ${figure(peaks.gigabytesPerSecond)} GB/s in a copy`,
    ),
  );
  const columns = headers('calls', 'ms', 'share', 'GFLOP/s', 'GB/s', 'bound', 'of bound');
  printTable(output, [{ header: 'kernel' }, ...columns], kernels.map(kernelCells));
  printTable(
    output,
    [{ header: 'kernel' }, { header: 'shape' }, ...columns],
    shapes.slice(0, MOST_SHAPES).map((time) => {
      const [kernel, ...cells] = kernelCells(time);
      return [kernel, time.shape ?? '', ...cells];
    }),
  );
  if (shapes.length > MOST_SHAPES) {
    output.line(output.style.dim(`… and ${shapes.length - MOST_SHAPES} more with --json`));
  }
}

const kernelCells = (time: KernelTime): string[] => [
  time.kernel,
  formatInteger(time.calls),
  time.ms.toFixed(time.ms < 1 ? 3 : 2),
  formatPercent(time.share),
  figure(time.gflops),
  figure(time.gigabytesPerSecond),
  time.bound,
  formatPercent(time.ofBound),
];

export function printPeers(output: Output, report: PeersReport): void {
  printHead(output, report);
  const { comparisons, missing } = report;
  const units = { tokensPerSecond: 'tokens/s', gflops: 'GFLOP/s' } as const;
  if (comparisons.length > 0) {
    printTable(
      output,
      headers('figure', 'unit', 'peer', 'threads', 'peer reaches', 'this', 'ratio'),
      comparisons.map((c) => [
        c.figure,
        units[c.unit],
        c.peer,
        String(c.peerThreads),
        figure(c.theirs.median),
        figure(c.ours.median),
        `${figure(c.ratio)} ×`,
      ]),
    );
  }
  if (missing.length > 0) {
    printTable(
      output,
      headers('not installed', 'for', 'to install it'),
      missing.map((m) => [m.peer, m.figure, m.install]),
    );
  }
}
