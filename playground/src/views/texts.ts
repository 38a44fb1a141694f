import type { GivenText } from '../files.ts';

/** The text that comes with the page. */
export const MOBY_DICK = {
  title: 'Moby-Dick, by Herman Melville',
  source: 'public domain; PDDL 1.0 as a data set',
  corpus: 'moby-dick',
  address: new URL('../../../dist/corpora/moby-dick.json.gz', import.meta.url).href,
};

interface Chapter {
  readonly chapter: string;
  readonly text: string;
}

const HELD_OUT = 0.1;

/** Its chapters, one after another, as the library reads them: of the last tenth whole ones are held out. */
export async function mobyDick(): Promise<GivenText> {
  const response = await fetch(MOBY_DICK.address);
  if (!response.ok)
    throw new Error(`The text that comes with the page cannot be fetched (HTTP ${response.status}).`);
  const bytes = new Uint8Array(await response.arrayBuffer());
  // Some servers unpack it on the way.
  const packed = bytes[0] === 0x1f && bytes[1] === 0x8b;
  const stream = new Blob([bytes]).stream();
  const unpacked = packed ? stream.pipeThrough(new DecompressionStream('gzip')) : stream;
  const all = (await new Response(unpacked).json()) as readonly Chapter[];
  const texts = all.filter(({ chapter }) => chapter !== 'Contents').map(({ text }) => text);
  const learnt = texts.slice(0, texts.length - Math.ceil(texts.length * HELD_OUT)).join('');
  return {
    ...{ name: 'Moby-Dick', corpus: MOBY_DICK.corpus },
    ...{ text: texts.join(''), heldFrom: learnt.length },
  };
}
