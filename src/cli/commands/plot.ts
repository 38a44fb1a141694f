import { basename, resolve } from 'node:path';
import { Command, Option } from 'commander';
import { XlstmError } from '../../errors.ts';
import { formatCount, formatDuration, formatFixed, formatInteger, NOTHING } from '../../format.ts';
import { readRunHistory } from '../../training/run_history.ts';
import { type Output, standardOutput } from '../output.ts';
import { plotPath } from '../parse.ts';
import { requirePlotFolder, writePlot } from '../plots.ts';
import { type CurveAxis, curveAxis, curvePoints, onGrid, type RunCurve, runCharts } from '../run_curves.ts';
import { type ChartSeries, renderChart } from '../ui/chart.ts';
import { renderTable } from '../ui/table.ts';

interface PlotOptions {
  readonly over: CurveAxis;
  readonly plot?: string;
}

export function plotCommand(): Command {
  return new Command('plot')
    .description('draw the losses of runs, in the terminal and as SVG')
    .argument('<run...>', 'folders of runs, also of those at work')
    .addOption(
      new Option('--over <axis>', 'what the curves go over').choices(['tokens', 'time']).default('tokens'),
    )
    .option('--plot <file>', 'write the curves as SVG or as a page (.html), too', plotPath)
    .addHelpText(
      'after',
      `
Losses are in nats per token: those of runs with the same tokenizer can be compared. A point of a curve is the mean of the
steps that fall on it.

Examples:
  xlstm plot runs/moby-dick
  xlstm plot runs/a runs/b --over time --plot compared.svg`,
    )
    .action(async (folders: string[], { over, plot }: PlotOptions) => {
      if (plot !== undefined) await requirePlotFolder(plot);
      const runs: RunCurve[] = [];
      for (const [i, folder] of folders.entries()) {
        const history = await readRunHistory(folder);
        if (history.length === 0) {
          throw new XlstmError('data', `${folder}: the run has made no step yet`, 'Leave it out, or wait.');
        }
        runs.push({ name: nameOf(folders, i), history });
      }
      const output = standardOutput();
      draw(output, runs, over);
      printTable(output, runs);
      if (plot !== undefined)
        await writePlot(plot, runs.map(({ name }) => name).join(', '), runCharts(runs, over));
    });
}

/** The name of its folder, or the path where others have the same name. */
function nameOf(folders: readonly string[], i: number): string {
  const names = folders.map((folder) => basename(resolve(folder)));
  return names.filter((name) => name === names[i]).length > 1 ? folders[i] : names[i];
}

const MOST_WIDTH = 100;
const ROWS = 12;

/** Curves over each other where colours tell them apart; else one below the other. */
function draw(output: Output, runs: readonly RunCurve[], over: CurveAxis): void {
  const { style } = output;
  const width = Math.min(MOST_WIDTH, Number.isFinite(output.width) ? output.width : 80);
  const axis = curveAxis(over);
  const end = Math.max(...runs.flatMap((run) => curvePoints(run, over, 'loss').map(({ x }) => x)), 0);
  const paints = [style.accent, style.warning, style.good, style.bad, style.strong, style.dim];
  const series = runs.map(
    (run, i): ChartSeries => ({
      name: run.name,
      values: onGrid(curvePoints(run, over, 'loss'), end, 2 * width),
      paint: paints[i % paints.length],
    }),
  );
  const colored = style.accent('x') !== 'x';
  for (const group of colored ? [series] : series.map((one) => [one])) {
    const lines = renderChart(group, { width, rows: ROWS }, style);
    for (const line of lines.slice(0, -1)) output.line(line);
    const label = `${axis.format(end)} ${over === 'tokens' ? 'tokens' : ''}`.trimEnd();
    output.line(style.dim(`${'0'.padStart(8)}${label.padStart(Math.max(label.length + 1, width - 8))}`));
    output.line(lines[lines.length - 1]);
    output.line();
  }
}

function printTable(output: Output, runs: readonly RunCurve[]): void {
  const rows = runs.map(({ name, history }) => {
    const last = history[history.length - 1];
    const held = history.flatMap(({ step, validationLoss: loss }) =>
      loss === undefined ? [] : [{ step, loss }],
    );
    const best = held.reduce<(typeof held)[number] | undefined>(
      (least, one) => (least && least.loss <= one.loss ? least : one),
      undefined,
    );
    return [
      name,
      formatInteger(last.step),
      formatCount(last.tokens),
      formatDuration(last.seconds),
      formatFixed(last.loss, 4),
      best ? formatFixed(best.loss, 4) : NOTHING,
      best ? formatInteger(best.step) : NOTHING,
    ];
  });
  const columns = [
    { header: 'run', align: 'left' as const },
    { header: 'steps' },
    { header: 'tokens' },
    { header: 'time' },
    { header: 'last loss' },
    { header: 'best held out' },
    { header: 'at step' },
  ];
  output.line(renderTable({ columns, rows }, output.style, output.width));
}
