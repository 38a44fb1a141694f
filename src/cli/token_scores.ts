import type { LoadedTextModel } from '../checkpoints/checkpoint_folder.ts';
import type { Document } from '../data/text.ts';
import { XlstmError } from '../errors.ts';
import { formatFixed, formatInteger } from '../format.ts';
import { oneLine, quote } from '../quote.ts';
import { type ScoredLine, scoreText } from '../training/score_text.ts';
import { type Output, standardOutput } from './output.ts';
import { renderTable } from './ui/table.ts';

/** What `xlstm eval --per-token` prints: a table of each text, or JSON lines. */
export async function printTokens(
  { model, tokenizer }: LoadedTextModel,
  texts: readonly Document[],
  asJson: boolean,
): Promise<void> {
  const output = standardOutput();
  const long = texts.find(({ continues }) => continues);
  if (long) {
    throw new XlstmError(
      'data',
      `${long.name}: too long for a line for each token`,
      'Leave --per-token out, or split the text.',
    );
  }
  for (const { name, text } of texts) {
    const lines = await scoreText(model, tokenizer, text).catch((error: unknown) => {
      throw error instanceof XlstmError ? new XlstmError(error.code, `${name}: ${error.message}`) : error;
    });
    if (asJson) printJson(output, name, lines);
    else printTable(output, name, lines);
  }
}

function printJson(output: Output, name: string, lines: readonly ScoredLine[]): void {
  const print = (value: unknown): void => output.line(JSON.stringify(value));
  for (const [i, { tokens, logProbability }] of lines.entries()) {
    const line = i + 1;
    for (const token of tokens) {
      print({
        file: name,
        line,
        token: token.id,
        text: token.text,
        logProbability: token.logProbability ?? null,
      });
    }
    const text = tokens.map((token) => token.text).join('');
    print({ file: name, line, tokens: tokens.length, text, logProbability });
  }
}

const DIGITS = 4;

function printTable({ line: print, style, width }: Output, name: string, lines: readonly ScoredLine[]): void {
  const rows: string[][] = [];
  const sums = new Set<number>();
  for (const [i, { tokens, logProbability }] of lines.entries()) {
    for (const { id, text, logProbability: score } of tokens) {
      rows.push([
        formatInteger(i + 1),
        String(id),
        // Spaces at the ends show.
        text === '' ? '' : quote(text),
        score === undefined ? '–' : formatFixed(score, DIGITS),
      ]);
    }
    sums.add(rows.length);
    rows.push([
      formatInteger(i + 1),
      '',
      `${formatInteger(tokens.length)} tokens`,
      formatFixed(logProbability, DIGITS),
    ]);
  }
  const columns = [
    { header: 'line' },
    { header: 'token' },
    { header: 'text', align: 'left' as const },
    { header: 'log-probability', unit: 'nats' },
  ];
  print(style.strong(oneLine(name)));
  print(renderTable({ columns, rows, emphasize: (row) => sums.has(row) }, style, width));
}
