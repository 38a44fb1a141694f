import { stat } from 'node:fs/promises';
import { startToken } from '../data/tokenizer.ts';
import { formatBytes, formatInteger } from '../format.ts';
import { TokenFile } from '../training/token_file.ts';
import type { Output } from './output.ts';
import { writingProgress } from './writing_progress.ts';

/** What `xlstm inspect` prints of a token file; with `verify` its content is read, and has to be that of its digest. */
export async function inspectTokenFile(
  output: Output,
  path: string,
  verify: boolean,
  asJson: boolean,
): Promise<void> {
  const { size } = await stat(path);
  const file = new TokenFile(path);
  try {
    const { tokens, documents, dtype, vocabSize, sha256, tokenizer } = file.facts;
    const rebuilt = await file.tokenizer();
    const { type } = rebuilt.toJSON();
    const { fingerprint } = tokenizer;
    const start = startToken(rebuilt) ?? null;
    if (verify) {
      const progress = writingProgress('reading');
      await progress.during((async () => file.verify(progress.bytes))());
    }
    if (asJson) {
      output.json({
        path,
        bytes: size,
        ...{ tokens, documents, dtype, vocabSize, sha256 },
        tokenizer: { type, start, fingerprint },
        verified: verify,
      });
      return;
    }
    output.line(`${output.style.strong(path)}  token file, ${formatBytes(size)}`);
    output.line();
    const perDocument =
      documents === 0 ? '' : `, of ${formatInteger(Math.round(tokens / documents))} tokens on average`;
    const kind = type === 'byte' ? 'bytes' : type === 'subword' ? 'subwords' : type;
    const begins = start === null ? 'none of them starts documents' : `${start} starts documents`;
    const lines: [string, string][] = [
      ['tokens', `${formatInteger(tokens)}, ${dtype}`],
      ['documents', `${formatInteger(documents)}${perDocument}`],
      [
        'tokenizer',
        `${kind}, ${formatInteger(vocabSize)} tokens, ${begins}; digest ${fingerprint.slice(0, 12)}`,
      ],
      [
        'digest',
        `${sha256.slice(0, 12)}${verify ? ', that of what the file holds' : ' (compare: --verify)'}`,
      ],
    ];
    for (const [name, text] of lines) output.line(`${name.padEnd(12)}${text}`);
  } finally {
    file.close();
  }
}
