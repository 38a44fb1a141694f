import { existsSync } from 'node:fs';
import { stat } from 'node:fs/promises';
import { Command } from 'commander';
import { type Document, readDocuments } from '../../data/text.ts';
import { findTexts } from '../../data/text_files.ts';
import { ByteTokenizer, DOCUMENT, startToken } from '../../data/tokenizer.ts';
import { XlstmError } from '../../errors.ts';
import { formatBytes, formatCount, formatDuration, formatInteger, formatPercent } from '../../format.ts';
import { writeTokenFile } from '../../training/write_token_file.ts';
import { path } from '../parse.ts';
import { openTokenizer } from '../read_tokenizer.ts';
import { LiveBlock } from '../ui/live_block.ts';
import { truncate } from '../ui/width.ts';

interface TokenizeOptions {
  readonly out: string;
  readonly tokenizer?: string;
  readonly documents?: boolean;
  readonly field?: string;
}

/** UTF-16 units that are encoded at a time. Tokens of longer texts may differ where they are cut. */
const PIECE = 2 ** 22;

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
    .addHelpText(
      'after',
      `
The file holds the tokens, the places where documents start, and the tokenizer; xlstm train --data FILE reads it by
windows, so neither of the two needs memory for it. Texts are read once, in pieces of 4 million characters that end with
a line.

Examples:
  xlstm tokenize library/ --documents --out library.tokens
  xlstm train --data library.tokens --order shuffled
  xlstm tokenize "dumps/*.jsonl.gz" --field content --documents --out dumps.tokens
  xlstm tokenize library/ --tokenizer runs/book --out library.tokens
  xlstm train --init runs/book --data library.tokens`,
    )
    .action(async (paths: string[], { out, tokenizer: model, documents, field }: TokenizeOptions) => {
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
      const progress = new Reading();
      try {
        const facts = await writeTokenFile(out, tokenizer, progress.read(paths, field));
        progress.finish();
        const { size } = await stat(out);
        process.stderr.write(
          `${out}: ${formatInteger(facts.tokens)} tokens of ${formatInteger(facts.documents)} ${facts.documents === 1 ? 'document' : 'documents'}, ${formatBytes(size)} (${facts.dtype})\n`,
        );
      } finally {
        progress.finish();
      }
    });
}

/** Texts on their way, with a line on a terminal that says how far they are. */
class Reading {
  readonly #start = performance.now();
  #line = '';
  readonly #block = new LiveBlock((width) => (this.#line ? [truncate(this.#line, width)] : []));

  async *read(paths: readonly string[], field?: string): AsyncGenerator<Document> {
    const files = await findTexts(paths);
    const total = files.reduce((sum, { bytes }) => sum + (bytes ?? Number.NaN), 0);
    let done = 0;
    const onBytes = (bytes: number): void => {
      done += bytes;
      const seconds = (performance.now() - this.#start) / 1000;
      const of = Number.isNaN(total)
        ? ''
        : ` of ${formatBytes(total)} (${formatPercent(done / total)}), ${formatDuration((seconds / done) * (total - done))} left`;
      this.#line = `${formatBytes(done)} read${of}   ${formatCount(done / seconds)} bytes/s`;
      this.#block.update();
    };
    for (const file of files) yield* readDocuments(file, PIECE, { onBytes, field });
  }

  finish(): void {
    this.#block.finish();
  }
}
