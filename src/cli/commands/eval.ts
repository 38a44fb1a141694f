import { Command } from 'commander';
import { type LoadedTextModel, loadAdapter, loadTextModel } from '../../checkpoints/checkpoint_folder.ts';
import { type Document, readTexts } from '../../data/text.ts';
import { encodeParts, startToken } from '../../data/tokenizer.ts';
import { XlstmError } from '../../errors.ts';
import { formatFixed, formatInteger } from '../../format.ts';
import { Evaluator } from '../../training/evaluate.ts';
import { addEngineOptions, type EngineChoice, withEngine } from '../engine_options.ts';
import { type Output, standardOutput } from '../output.ts';
import { path } from '../parse.ts';
import { printTokens } from '../token_scores.ts';
import { renderTable } from '../ui/table.ts';

interface EvalOptions extends EngineChoice {
  readonly adapter?: string;
  readonly perToken?: boolean;
  readonly json?: boolean;
}

export function evalCommand(): Command {
  const command = new Command('eval')
    .description('measure a model on texts: loss, perplexity, bits per byte')
    .argument('<model>', 'a checkpoint or the folder of a run')
    .argument('<path...>', 'text files or folders, or - for standard input')
    .option('--adapter <folder>', 'an adapter over the model: its folder, or the run that trained it', path)
    .option('--per-token', 'print the log-probability of each token and line, in nats')
    .option('--json', 'print the measures as JSON; with --per-token JSON lines, one for each token and line')
    .addHelpText(
      'after',
      `
Each text is measured by itself, from a state without memory. Loss is in nats per token, perplexity its exponential;
bits per byte can be compared between models with different tokenizers.

With --per-token a text is read in one piece: each token's probability is that after all before it. A first token that
nothing comes before has none.

Examples:
  xlstm eval runs/moby-dick chapter.txt
  xlstm eval runs/moby-dick texts/ --json
  xlstm eval runs/moby-dick sentences.txt --per-token`,
    );
  return addEngineOptions(command).action((model: string, paths: string[], options: EvalOptions) =>
    withEngine(options, async (engine) => {
      const checkpoint = await loadTextModel(engine, model, {
        adapter: options.adapter === undefined ? undefined : await loadAdapter(options.adapter),
      });
      if (options.perToken) return printTokens(checkpoint, await readTexts(paths), options.json ?? false);
      const measure = measurer(checkpoint);
      const texts: Measured[] = [];
      for (const parts of wholeTexts(await readTexts(paths))) texts.push(await measure(parts));
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

interface Measured {
  readonly name: string;
  /** Tokens that were predicted, and the bytes of text that they stand for. */
  readonly tokens: number;
  readonly bytes: number;
  /** Of all tokens together. */
  readonly nats: number;
}

const LENGTH = 256;

/** Side by side the pieces of a text are read faster, but each starts without memory: only long ones are cut. */
const MOST_LANES = 16;
const LEAST_LANE = 4096;

/** Each with the parts that continue it. */
function wholeTexts(documents: readonly Document[]): Document[][] {
  const texts: Document[][] = [];
  for (const document of documents) {
    if (document.continues) texts[texts.length - 1].push(document);
    else texts.push([document]);
  }
  return texts;
}

function measurer({ model, tokenizer }: LoadedTextModel): (parts: readonly Document[]) => Promise<Measured> {
  const documentStart = startToken(tokenizer);
  const evaluators = new Map<number, Evaluator>();
  return async (parts) => {
    const [{ name }] = parts;
    const stream = encodeParts(tokenizer, parts);
    if (stream.length < 2) {
      throw new XlstmError('data', `${name}: expected at least 2 tokens of text, found ${stream.length}`);
    }
    const lanes = Math.min(MOST_LANES, Math.max(1, Math.floor(stream.length / LEAST_LANE)));
    const evaluator = evaluators.get(lanes) ?? new Evaluator(model, { lanes, length: LENGTH, documentStart });
    evaluators.set(lanes, evaluator);
    const { loss, targets: tokens } = await evaluator.run(stream);
    // Without a document token the first token of the text is not predicted. It may end inside a character, where no
    // text tells its bytes, so it counts as an average one: exact where every token is a byte.
    const size = parts.reduce((sum, { text }) => sum + Buffer.byteLength(text), 0);
    const bytes = (size * tokens) / (documentStart === undefined ? tokens + 1 : tokens);
    return { name, tokens, bytes, nats: loss * tokens };
  };
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
