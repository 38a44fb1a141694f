import { type TrainedTokenizer, trainTokenizer } from '../data/subword/train_tokenizer.ts';
import { formatDuration, formatInteger, formatPercent } from '../format.ts';
import { LiveBlock } from './ui/live_block.ts';
import { truncate } from './ui/width.ts';

/**
 * Trains a tokenizer on texts; on a terminal a line says how far it is. What it has become is told on standard error.
 *
 * @param shareRead Says how much of texts that come one by one was read.
 */
export async function trainedTokenizer(
  texts: readonly string[] | AsyncIterable<string>,
  vocabSize: number,
  specials: readonly string[],
  shareRead?: () => number,
): Promise<TrainedTokenizer> {
  const start = performance.now();
  const seconds = (): string => formatDuration((performance.now() - start) / 1000);
  let line = '';
  const block = new LiveBlock((width) => (line ? [truncate(line, width)] : []));
  const trained = await trainTokenizer(texts, {
    vocabSize,
    specials,
    onProgress({ stage, done, total }) {
      const what = stage === 'reading' ? 'characters read' : 'tokens made';
      const share = total === undefined ? shareRead?.() : done / total;
      const of = total === undefined ? '' : ` of ${formatInteger(total)}`;
      const percent = share === undefined ? '' : ` (${formatPercent(share)})`;
      line = `${formatInteger(done)}${of} ${what}${percent}   ${seconds()} elapsed`;
      block.update();
    },
  });
  block.finish();
  const { tokenizer, tokens, bytes } = trained;
  process.stderr.write(
    `tokens  ${formatInteger(tokenizer.vocabSize)}, of ${(bytes / tokens).toFixed(2)} bytes on average in these texts; trained in ${seconds()}\n`,
  );
  if (tokenizer.vocabSize < vocabSize) {
    process.stderr.write(
      `note    fewer than the ${formatInteger(vocabSize)} asked for: no pair is in the texts twice any more\n`,
    );
  }
  return trained;
}
