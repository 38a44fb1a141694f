import { Command } from 'commander';
import { readTexts } from '../../data/text.ts';
import { XlstmError } from '../../errors.ts';
import { formatFixed, formatInteger } from '../../format.ts';
import { areTokenFiles } from '../../training/token_corpus.ts';
import { addEngineOptions, type EngineChoice, withEngine } from '../engine_options.ts';
import { addLoadingOptions, type LoadingOptions, loadTextModelBy } from '../loading_options.ts';
import { type Measured, TextMeasurer } from '../measure_text.ts';
import { type Output, standardOutput } from '../output.ts';
import { integer } from '../parse.ts';
import { printTokens } from '../token_scores.ts';
import { renderTable } from '../ui/table.ts';

interface EvalOptions extends EngineChoice, LoadingOptions {
  readonly perToken?: boolean;
  readonly field?: string;
  readonly evaluationTokens?: number;
  readonly json?: boolean;
}

export function evalCommand(): Command {
  const command = new Command('eval')
    .description('measure a model on texts: loss, perplexity, bits per byte')
    .argument('<model>', 'a checkpoint or the folder of a run')
    .argument(
      '<path...>',
      'texts: files, folders, "patterns*", - for standard input; .jsonl, .parquet, .gz, .zst; token files',
    )
    .option('--field <name>', 'field of .jsonl, column of .parquet, that has the text (default: text)')
    .option(
      '--evaluation-tokens <n>',
      'tokens of each text to measure at most, in windows evenly over it (default: all)',
      integer(2),
    )
    .option('--per-token', 'print the log-probability of each token and line, in nats')
    .option('--json', 'print the measures as JSON; with --per-token JSON lines, one for each token and line')
    .addHelpText(
      'after',
      `
Each text, file or record, is measured by itself, from a state without memory; a token file (xlstm tokenize) is measured
as one text, whose documents begin without memory where a token says so. Loss is in nats per token, perplexity its exponential;
bits per byte can be compared between models with different tokenizers.

With --per-token a text is read in one piece: each token's probability is that after all before it. A first token that
nothing comes before has none.

Examples:
  xlstm eval runs/moby-dick chapter.txt
  xlstm eval runs/moby-dick texts/ --json
  xlstm eval runs/library held-out.tokens --evaluation-tokens 1000000
  xlstm eval runs/moby-dick sentences.txt --per-token`,
    );
  addLoadingOptions(command);
  return addEngineOptions(command).action((model: string, paths: string[], options: EvalOptions) =>
    withEngine(options, async (engine) => {
      const checkpoint = await loadTextModelBy(engine, model, options);
      const { field, evaluationTokens } = options;
      if (options.perToken) {
        requireTexts(paths, evaluationTokens);
        return printTokens(checkpoint, await readTexts(paths, undefined, field), options.json ?? false);
      }
      const measurer = new TextMeasurer(checkpoint, evaluationTokens);
      const texts: Measured[] = [];
      for await (const text of measurer.measure(paths, field)) texts.push(text);
      const all = combine(texts);
      const output = standardOutput();
      if (options.json) {
        output.json({
          model,
          engine: engine.description,
          ...measures(all),
          texts: texts.map((text) => ({ name: text.name, ...measures(text) })),
        });
      } else {
        print(output, texts.length > 1 ? [...texts, all] : texts);
      }
    }),
  );
}

function requireTexts(paths: readonly string[], evaluationTokens: number | undefined): void {
  if (areTokenFiles(paths)) {
    throw new XlstmError(
      'usage',
      '--per-token: expected texts, found token files',
      'Give the texts themselves.',
    );
  }
  if (evaluationTokens === undefined) return;
  throw new XlstmError(
    'usage',
    '--evaluation-tokens: with --per-token all of a text is read',
    'Leave one of the two out.',
  );
}

const combine = (texts: readonly Measured[]): Measured => {
  const total = (of: (text: Measured) => number): number => texts.reduce((sum, text) => sum + of(text), 0);
  return {
    name: 'all',
    tokens: total((t) => t.tokens),
    bytes: total((t) => t.bytes),
    nats: total((t) => t.nats),
  };
};

function measures({ tokens, bytes, nats }: Measured): Record<string, number> {
  const loss = nats / tokens;
  return { tokens, bytes, loss, perplexity: Math.exp(loss), bitsPerByte: nats / Math.LN2 / bytes };
}

function print({ line, style, width }: Output, texts: readonly Measured[]): void {
  const rows = texts.map(({ name, tokens, bytes, nats }) => [
    name,
    formatInteger(tokens),
    formatFixed(nats / tokens, 4),
    formatFixed(Math.exp(nats / tokens), 3),
    formatFixed(nats / Math.LN2 / bytes, 4),
  ]);
  const columns = [
    { header: 'text', align: 'left' as const },
    { header: 'tokens' },
    { header: 'loss', unit: 'nats/token' },
    { header: 'perplexity' },
    { header: 'bits per byte' },
  ];
  const emphasize = (i: number): boolean => texts.length > 1 && i === texts.length - 1;
  line(renderTable({ columns, rows, emphasize }, style, width));
}
