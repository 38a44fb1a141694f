import { existsSync } from 'node:fs';
import { stat } from 'node:fs/promises';
import { Command } from 'commander';
import { availableCores, permits } from '../../compute/engines/host.ts';
import { ByteTokenizer, DOCUMENT, startToken, type Tokenizer } from '../../data/tokenizer.ts';
import { XlstmError } from '../../errors.ts';
import { formatBytes, formatInteger } from '../../format.ts';
import type { TokenFileFacts } from '../../training/token_file.ts';
import { partialFolder } from '../../training/tokenize/draft.ts';
import { type TokenizeProgress, tokenizeTexts } from '../../training/write_token_file.ts';
import { INTERRUPTED, interruptible } from '../interrupt.ts';
import { integer, path } from '../parse.ts';
import { openTokenizer } from '../read_tokenizer.ts';
import { TokenizeProgressWriter } from '../tokenize_progress.ts';

interface CommandOptions {
  readonly out: string;
  readonly tokenizer?: string;
  readonly documents?: boolean;
  readonly field?: string;
  readonly threads?: number;
}

export function tokenizeCommand(): Command {
  return new Command('tokenize')
    .description('write the tokens of texts to a file, to train on more than memory holds')
    .argument(
      '<path...>',
      'texts: files, folders, "patterns*", - for standard input; .jsonl, .parquet, .gz, .zst',
    )
    .requiredOption('--out <file>', 'the token file to write', path)
    .option('--tokenizer <model>', 'a model, a run, or a tokenizer.json (default: bytes)', path)
    .option('--documents', 'each file or record is a document: the state is erased where one starts')
    .option('--field <name>', 'field of .jsonl, column of .parquet, that has the text (default: text)')
    .option(
      '--threads <n>',
      "threads that make tokens of subwords (default: the machine's cores); the file does not depend on it",
      integer(1, 256),
    )
    .addHelpText(
      'after',
      `
The file holds the tokens, the places where documents start, and the tokenizer; xlstm train --data FILE reads it by
windows, so neither of the two needs memory for it. Texts are read in pieces of 4 million characters that end with a
line.

FILE is there when it is whole. Until then FILE.partial/ holds what is done: after Ctrl-C, a crash or a full disk the same
command goes on from there, over the same texts with the same tokenizer. It begins in the middle of a file of text or of JSON
lines; of a packed one and of Parquet the finished part is read again. Texts from standard input begin anew.

Examples:
  xlstm tokenize library/ --documents --out library.tokens
  xlstm train --data library.tokens --order shuffled
  xlstm tokenize "dumps/*.jsonl.gz" --field content --documents --out dumps.tokens
  xlstm tokenize library/ --tokenizer runs/book --out library.tokens
  xlstm train --init runs/book --data library.tokens`,
    )
    .action(async (paths: string[], options: CommandOptions) => {
      const { out, tokenizer: model, documents, field, threads: asked } = options;
      if (existsSync(out)) {
        throw new XlstmError('data', `${out}: is there already`, 'Name another file with --out.');
      }
      const tokenizer =
        model === undefined ? new ByteTokenizer(documents ? [DOCUMENT] : []) : await openTokenizer(model);
      if (documents && startToken(tokenizer) === undefined) {
        throw new XlstmError(
          'usage',
          `--documents: the tokenizer of ${model} has no token that starts a document`,
          'Leave it out, or take the tokenizer of a model that was trained with --documents.',
        );
      }
      const threads = asked ?? (await defaultThreads(tokenizer));
      const progress = new TokenizeProgressWriter();
      const onProgress = (state: TokenizeProgress): void => progress.update(state);
      let facts: TokenFileFacts;
      try {
        facts = await interruptible((signal) =>
          tokenizeTexts(paths, out, { tokenizer, field, threads, signal, onProgress }),
        );
      } catch (error) {
        progress.finish();
        if (progress.begun && existsSync(partialFolder(out))) {
          process.stderr.write(
            `note    what is done is in ${partialFolder(out)}: the same command goes on from there, over the same texts\n`,
          );
        }
        if ((error as Error).name !== 'AbortError') throw error;
        process.exitCode = INTERRUPTED;
        return;
      }
      progress.finish();
      const { size } = await stat(out);
      process.stderr.write(
        `${out}: ${formatInteger(facts.tokens)} tokens of ${formatInteger(facts.documents)} ${facts.documents === 1 ? 'document' : 'documents'}, ${formatBytes(size)} (${facts.dtype})\n`,
      );
    });
}

/** Bytes are handed to a thread no faster than they are made tokens. */
const defaultThreads = async (tokenizer: Tokenizer): Promise<number> =>
  tokenizer instanceof ByteTokenizer || !permits('worker') ? 1 : availableCores();
