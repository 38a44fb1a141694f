import { Command } from 'commander';
import { formatRate } from '../../format.ts';
import { type Row, type Verification, verifyFile } from '../../lab/verification/verify.ts';
import { addEngineOptions, type EngineChoice, withEngine } from '../engine_options.ts';
import { type Output, standardOutput } from '../output.ts';
import { renderTable } from '../ui/table.ts';

interface VerifyOptions extends EngineChoice {
  readonly json?: boolean;
}

export function verifyCommand(): Command {
  const command = new Command('verify')
    .description('compare an engine with golden vectors: numbers from the reference equations')
    .argument('<path...>', 'golden files, or folders that hold an expected.safetensors')
    .option('--json', 'print the rows as JSON')
    .addHelpText(
      'after',
      `
A row per tensor: its error, max |a − b| / max(max |b|, 0.01) (of logits max |a − b|), and the tolerance. Where a
tensor is computed in several ways, in chunks of several lengths for example, the row is the one farthest off.
Exit code 1 if any error is over its tolerance.

Examples:
  xlstm verify test/golden/mlstm_cell.safetensors
  xlstm verify test/golden/*.safetensors --engine wasm --threads 2
  xlstm verify test/golden/lm_mixed.safetensors --json`,
    );
  return addEngineOptions(command).action((paths: string[], options: VerifyOptions) =>
    withEngine(options, async (engine) => {
      const output = standardOutput();
      const files: Verification[] = [];
      for (const path of paths) {
        const result = await verifyFile(engine, path);
        files.push(result);
        if (!options.json) printFile(output, result);
      }
      const rows = files.flatMap((file) => file.rows);
      const passed = rows.every((row) => row.passed);
      if (options.json) {
        const { name, threads, description } = engine;
        output.json({ passed, engine: { name, threads, description }, files });
      } else {
        const count = `${rows.length} tensors, ${engine.description}`;
        output.line(
          passed
            ? output.style.good(`passed: ${count}`)
            : output.style.bad(`failed: ${over(rows)} of ${count}`),
        );
      }
      if (!passed) process.exitCode = 1;
    }),
  );
}

const over = (rows: readonly Row[]): number => rows.filter((row) => !row.passed).length;

function printFile(output: Output, { source, kind, rows }: Verification): void {
  const { style, width } = output;
  output.line(style.strong(`${source} (${kind})`));
  const oneCase = rows.every((row) => row.case === rows[0].case);
  const cells = rows.map((row, i) => [
    ...(oneCase ? [] : [row.case === rows[i - 1]?.case ? '' : row.case]),
    oneCase ? row.tensor : row.tensor.replace('xlstm_block_stack.', '').replace(`${row.case}.`, ''),
    row.form,
    Number.isNaN(row.error) ? 'NaN' : formatRate(row.error),
    formatRate(row.tolerance),
    row.passed ? 'ok' : 'OVER',
  ]);
  const text = (header: string) => ({ header, align: 'left' as const });
  const columns = [
    ...(oneCase ? [] : [text('case')]),
    text('tensor'),
    text('computed'),
    { header: 'error' },
    { header: 'tolerance' },
    text(''),
  ];
  output.line(renderTable({ columns, rows: cells, emphasize: (i) => !rows[i].passed }, style, width));
  const failed = over(rows);
  output.line(
    failed === 0
      ? style.good(`${rows.length} tensors within tolerance`)
      : style.bad(`${failed} of ${rows.length} tensors over their tolerance`),
  );
  output.line();
}
