import { Command } from 'commander';
import { loadAdapter, loadTextModel } from '../../checkpoints/checkpoint_folder.ts';
import { encodeChat } from '../../data/subword/chat.ts';
import { readText } from '../../data/text.ts';
import { startToken } from '../../data/tokenizer.ts';
import { XlstmError } from '../../errors.ts';
import { formatCount, formatInteger } from '../../format.ts';
import { MAX_REPETITION_WINDOW } from '../../generation/sampling.ts';
import { Session } from '../../generation/session.ts';
import { addEngineOptions, type EngineChoice, withEngine } from '../engine_options.ts';
import { INTERRUPTED, interruptible } from '../interrupt.ts';
import { standardOutput } from '../output.ts';
import { integer, number, path, positive } from '../parse.ts';

interface GenerateOptions extends EngineChoice {
  readonly adapter?: string;
  readonly prompt?: string;
  readonly promptFile?: string;
  readonly message?: string;
  readonly maxTokens: number;
  readonly temperature: number;
  readonly topK?: number;
  readonly topP: number;
  readonly minP: number;
  readonly repetitionPenalty: number;
  readonly repetitionWindow: number;
  readonly seed?: number;
  readonly stop?: string[];
  readonly json?: boolean;
}

export function generateCommand(): Command {
  const command = new Command('generate')
    .description('let a model write: it continues a prompt')
    .argument('<model>', 'a checkpoint or the folder of a run')
    .option('--adapter <folder>', 'an adapter over the model: its folder, or the run that trained it', path)
    .option('--prompt <text>', 'what the text starts with')
    .option('--prompt-file <path>', 'a file that holds the prompt, or - for standard input')
    .option('--message <text>', 'ask a model that was trained on conversations, by its chat template')
    .option('--max-tokens <n>', 'tokens to write', integer(1), 500)
    .option(
      '--temperature <t>',
      'below 1 safer, above 1 wilder; 0 always takes the likeliest token',
      number(0),
      0.8,
    )
    .option('--top-k <n>', 'draw from the n likeliest tokens only', integer(1))
    .option(
      '--top-p <p>',
      'draw from the likeliest tokens that reach this probability together',
      positive(1),
      0.95,
    )
    .option('--min-p <p>', 'leave out tokens below this fraction of the likeliest one', number(0, 1), 0)
    .option('--repetition-penalty <f>', 'above 1: what came lately becomes less likely', number(1e-6, 1e6), 1)
    .option(
      '--repetition-window <n>',
      'tokens back that the penalty counts',
      integer(0, MAX_REPETITION_WINDOW),
      64,
    )
    .option('--seed <n>', 'the same seed writes the same text (default: another one each time)', integer(0))
    .option('--stop <text...>', 'end before any of these texts')
    .option('--json', 'print the text and what was counted as JSON')
    .addHelpText(
      'after',
      `
Examples:
  xlstm generate runs/moby-dick --prompt "The whale"
  xlstm generate runs/moby-dick --prompt "Call me" --temperature 0 --max-tokens 40
  xlstm generate models/assistant --message "Who are you?"
  echo "It was" | xlstm generate runs/moby-dick --prompt-file - --stop "." --json`,
    );
  return addEngineOptions(command).action(async (place: string, options: GenerateOptions) => {
    const prompt = await readPrompt(options);
    await withEngine(options, async (engine) => {
      const { model, tokenizer } = await loadTextModel(engine, place, {
        adapter: options.adapter === undefined ? undefined : await loadAdapter(options.adapter),
      });
      const asked =
        options.message && (await encodeChat(tokenizer, [{ role: 'user', content: options.message }]));
      if (prompt === undefined && !asked && startToken(tokenizer) === undefined) {
        throw new XlstmError(
          'usage',
          'this model continues a prompt: expected --prompt or --prompt-file, found neither',
          'For example: --prompt "The"',
        );
      }
      const session = new Session(model, tokenizer);
      const output = standardOutput();
      const begin = prompt ?? asked;
      if (begin) await session.append(begin);
      const promptTokens = session.tokensSeen;
      const start = performance.now();
      const { maxTokens, temperature, topK, topP, minP, repetitionPenalty, repetitionWindow, stop } = options;
      const drawn = { maxTokens, temperature, topK, topP, minP, repetitionPenalty, repetitionWindow, stop };
      const seed = options.seed ?? Math.floor(Math.random() * 2 ** 32);
      const { text, interrupted } = await interruptible((signal) => {
        if (!options.json && prompt !== undefined) output.text(output.style.dim(prompt));
        return write(session.generate({ ...drawn, seed, signal }), signal, (piece) => {
          if (!options.json) output.text(piece);
        });
      }).finally(() => {
        if (!options.json) output.line(); // what follows, an error too, starts a line
      });
      const seconds = (performance.now() - start) / 1000;
      const tokens = session.tokensSeen - promptTokens;
      if (options.json) {
        output.json({
          prompt: prompt ?? options.message ?? '',
          text,
          tokens,
          seconds,
          seed,
          engine: engine.description,
          interrupted,
        });
      } else {
        const speed = `${formatInteger(tokens)} tokens, ${formatCount(tokens / seconds)} tokens/s, seed ${seed}`;
        process.stderr.write(`${speed}\n`);
      }
      if (interrupted) process.exitCode = INTERRUPTED;
    });
  });
}

/** An abort ends the text where it is. */
async function write(
  pieces: AsyncIterable<string>,
  signal: AbortSignal,
  onPiece: (piece: string) => void,
): Promise<{ text: string; interrupted: boolean }> {
  let text = '';
  try {
    for await (const piece of pieces) {
      text += piece;
      onPiece(piece);
    }
    return { text, interrupted: false };
  } catch (error) {
    if (!signal.aborted) throw error;
    return { text, interrupted: true };
  }
}

async function readPrompt({ prompt, promptFile, message }: GenerateOptions): Promise<string | undefined> {
  const given = Object.entries({ '--prompt': prompt, '--prompt-file': promptFile, '--message': message })
    .filter(([, value]) => value !== undefined)
    .map(([option]) => option);
  if (given.length > 1) {
    throw new XlstmError(
      'usage',
      `expected one of --prompt, --prompt-file and --message, found ${given.join(' and ')}`,
    );
  }
  if (message === '') throw new XlstmError('data', '--message: expected some text, found none');
  if (prompt === '')
    throw new XlstmError('data', '--prompt: expected some text, found none', 'For example: --prompt "The"');
  if (promptFile === undefined) return prompt;
  const document = await readText(promptFile);
  if (document) return document.text;
  throw new XlstmError(
    'data',
    `${promptFile}: expected one file as the prompt, found several`,
    'Give one of them.',
  );
}
