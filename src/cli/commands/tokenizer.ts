import { Command } from 'commander';
import { writeFileAtomic } from '../../checkpoints/files.ts';
import { MAX_VOCABULARY } from '../../data/subword/train_tokenizer.ts';
import { readDocuments } from '../../data/text.ts';
import { findTexts } from '../../data/text_files.ts';
import { tokenizerFiles } from '../../data/tokenizer_files.ts';
import { XlstmError } from '../../errors.ts';
import { formatBytes } from '../../format.ts';
import { integer, path } from '../parse.ts';
import { trainedTokenizer } from '../trained_tokenizer.ts';

interface TokenizerOptions {
  readonly vocabulary: number;
  readonly special?: string[];
  readonly out: string;
  readonly field?: string;
}

/** UTF-16 units that are held of a text: words alone are kept. */
const PIECE = 2 ** 22;

export function tokenizerCommand(): Command {
  return new Command('tokenizer')
    .description('make tokenizers of subwords')
    .addCommand(trainTokenizerCommand());
}

function trainTokenizerCommand(): Command {
  return new Command('train')
    .description('train a tokenizer on texts: byte-level BPE, written as tokenizer.json of Hugging Face')
    .argument(
      '<path...>',
      'texts: files, folders, "patterns*", - for standard input; .jsonl, .parquet, .gz, .zst',
    )
    .option('--field <name>', 'field of .jsonl, column of .parquet, that has the text (default: text)')
    .option('--vocabulary <n>', 'tokens at most, 256 bytes among them', integer(256, MAX_VOCABULARY), 8000)
    .option('--special <name...>', 'special tokens, which have the first ids')
    .option('--out <file>', 'the file to write', path, 'tokenizer.json')
    .addHelpText(
      'after',
      `
Every text can be encoded and comes back as it was. Pairs of tokens that are in the texts once are not merged. Ids are
those that the Python package tokenizers gives with the same file. <|document|> is the special token that starts a
document (xlstm train --documents).

Examples:
  xlstm tokenizer train book.txt
  xlstm tokenizer train texts/ --vocabulary 32000 --special "<|document|>" --out tokenizers/mine.json`,
    )
    .action(async (paths: string[], { vocabulary, special = [], out, field }: TokenizerOptions) => {
      const least = 256 + special.length;
      if (vocabulary < least) {
        throw new XlstmError(
          'usage',
          `--vocabulary ${vocabulary}: expected at least ${least}, the bytes and the special tokens`,
        );
      }
      const files = await findTexts(paths);
      const total = files.reduce((sum, { bytes }) => sum + (bytes ?? Number.NaN), 0);
      let read = 0;
      const onBytes = (bytes: number): void => {
        read += bytes;
      };
      async function* texts(): AsyncGenerator<string> {
        for (const file of files) {
          for await (const { text } of readDocuments(file, PIECE, { field, onBytes })) yield text;
        }
      }
      const share = Number.isNaN(total) ? undefined : () => read / total;
      const { tokenizer } = await trainedTokenizer(texts(), vocabulary, special, share);
      const json = `${JSON.stringify(tokenizerFiles(tokenizer).get('tokenizer.json'))}\n`;
      await writeFileAtomic(out, json);
      process.stderr.write(`${out}: ${formatBytes(Buffer.byteLength(json))}\n`);
    });
}
