import { Command } from 'commander';
import { writeFileAtomic } from '../../checkpoints/files.ts';
import { readJsonFile } from '../../checkpoints/json_file.ts';
import { parseSafetensors } from '../../checkpoints/safetensors.ts';
import { encodeChat } from '../../data/subword/chat.ts';
import { readText } from '../../data/text.ts';
import { startToken } from '../../data/tokenizer.ts';
import { XlstmError } from '../../errors.ts';
import { formatCount, formatInteger } from '../../format.ts';
import { parseConversationNote } from '../../generation/conversation_note.ts';
import { Grammar } from '../../generation/grammar/grammar.ts';
import { MAX_REPETITION_WINDOW } from '../../generation/sampling.ts';
import { Session } from '../../generation/session.ts';
import { addEngineOptions, type EngineChoice, withEngine } from '../engine_options.ts';
import { INTERRUPTED, interruptible } from '../interrupt.ts';
import { addLoadingOptions, type LoadingOptions, loadTextModelBy } from '../loading_options.ts';
import { standardOutput } from '../output.ts';
import { integer, number, path, positive } from '../parse.ts';
import { readSession } from '../session_file.ts';

interface GenerateOptions extends EngineChoice, LoadingOptions {
  readonly prompt?: string;
  readonly promptFile?: string;
  readonly message?: string;
  readonly session?: string;
  readonly maxTokens: number;
  readonly temperature: number;
  readonly topK?: number;
  readonly topP: number;
  readonly minP: number;
  readonly repetitionPenalty: number;
  readonly repetitionWindow: number;
  readonly seed?: number;
  readonly stop?: string[];
  readonly regex?: string;
  readonly jsonSchema?: string;
  readonly json?: boolean;
}

export function generateCommand(): Command {
  const command = new Command('generate')
    .description('let a model write: it continues a prompt')
    .argument('<model>', 'a checkpoint or the folder of a run')
    .option('--prompt <text>', 'what the text starts with')
    .option('--prompt-file <path>', 'a file that holds the prompt, or - for standard input')
    .option('--message <text>', 'ask a model that was trained on conversations, by its chat template')
    .option(
      '--session <file>',
      'go on where this file says the model was, if it is there, and write it at the end',
      path,
    )
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
    .option('--regex <pattern>', 'write only what this regular expression matches')
    .option('--json-schema <file>', 'write only JSON that this JSON Schema describes', path)
    .option('--json', 'print the text and what was counted as JSON')
    .addHelpText(
      'after',
      `
Examples:
  xlstm generate runs/moby-dick --prompt "The whale"
  xlstm generate runs/moby-dick --prompt "Call me" --temperature 0 --max-tokens 40
  xlstm generate models/assistant --message "Who are you?"
  xlstm generate runs/moby-dick --session whale.session --prompt "The whale"
  echo "It was" | xlstm generate runs/moby-dick --prompt-file - --stop "." --json`,
    );
  addLoadingOptions(command);
  return addEngineOptions(command).action(async (place: string, options: GenerateOptions) => {
    const prompt = await readPrompt(options);
    const grammar = await readGrammar(options);
    await withEngine(options, async (engine) => {
      const { model, tokenizer } = await loadTextModelBy(engine, place, options);
      const asked =
        options.message && (await encodeChat(tokenizer, [{ role: 'user', content: options.message }]));
      const session = new Session(model, tokenizer);
      const saved = options.session === undefined ? undefined : await readSession(options.session);
      if (saved) {
        await session.restore(saved, options.session);
        refuseConversation(saved, options.session as string, session.tokensSeen);
      }
      const begins = session.tokensSeen === 0;
      if (prompt === undefined && !asked && begins && startToken(tokenizer) === undefined) {
        throw new XlstmError(
          'usage',
          'this model continues a prompt: expected --prompt or --prompt-file, found neither',
          'For example: --prompt "The"',
        );
      }
      const output = standardOutput();
      const begin = prompt ?? asked;
      if (begin) await session.append(begin);
      const promptTokens = session.tokensSeen;
      const start = performance.now();
      const { maxTokens, temperature, topK, topP, minP, repetitionPenalty, repetitionWindow, stop } = options;
      const drawn = {
        maxTokens,
        temperature,
        topK,
        topP,
        minP,
        repetitionPenalty,
        repetitionWindow,
        stop,
        grammar,
      };
      const seed = options.seed ?? Math.floor(Math.random() * 2 ** 32);
      const { text, interrupted } = await interruptible((signal) => {
        if (!options.json && prompt !== undefined) output.text(output.style.dim(prompt));
        return write(session.generate({ ...drawn, seed, signal }), signal, (piece) => {
          if (!options.json) output.text(piece);
        });
      }).finally(() => {
        if (!options.json) output.line(); // what follows, an error too, starts a line
      });
      if (options.session !== undefined) await writeFileAtomic(options.session, await session.save());
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

/** What a conversation says beside its state would be lost in the file that is written. */
function refuseConversation(saved: Uint8Array, file: string, tokensSeen: number): void {
  if (!parseConversationNote(parseSafetensors(saved, file).metadata, tokensSeen, file)) return;
  throw new XlstmError(
    'data',
    `${file}: expected the session of a text, found a conversation`,
    'To go on with a conversation: xlstm chat MODEL --session FILE',
  );
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

async function readGrammar({ regex, jsonSchema }: GenerateOptions): Promise<Grammar | undefined> {
  if (regex !== undefined && jsonSchema !== undefined) {
    throw new XlstmError('usage', 'expected one of --regex and --json-schema, found both');
  }
  if (regex !== undefined) return Grammar.regex(regex);
  if (jsonSchema === undefined) return undefined;
  const schema = await readJsonFile(jsonSchema, 'data');
  if (schema === undefined) throw new XlstmError('data', `${jsonSchema}: there is no such file`);
  return Grammar.jsonSchema(schema);
}

async function readPrompt({
  prompt,
  promptFile,
  message,
  session,
}: GenerateOptions): Promise<string | undefined> {
  const given = Object.entries({ '--prompt': prompt, '--prompt-file': promptFile, '--message': message })
    .filter(([, value]) => value !== undefined)
    .map(([option]) => option);
  if (given.length > 1) {
    throw new XlstmError(
      'usage',
      `expected one of --prompt, --prompt-file and --message, found ${given.join(' and ')}`,
    );
  }
  if (message !== undefined && session !== undefined) {
    throw new XlstmError(
      'usage',
      '--message: begins a conversation, found it with --session',
      'To go on with a conversation: xlstm chat MODEL --session FILE',
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
