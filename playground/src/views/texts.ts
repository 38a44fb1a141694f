import type { GivenText } from '../files.ts';

/** The text that comes with the page. */
export const MOBY_DICK = {
  title: 'Moby-Dick, by Herman Melville',
  source: 'public domain; PDDL 1.0 as a data set',
  address: new URL('../../../dist/corpora/moby-dick.json.gz', import.meta.url).href,
};

/** Its chapters, one after another. */
export async function mobyDick(): Promise<GivenText> {
  const response = await fetch(MOBY_DICK.address);
  if (!response.ok)
    throw new Error(`The text that comes with the page cannot be fetched (HTTP ${response.status}).`);
  const bytes = new Uint8Array(await response.arrayBuffer());
  // Some servers unpack it on the way.
  const packed = bytes[0] === 0x1f && bytes[1] === 0x8b;
  const stream = new Blob([bytes]).stream();
  const unpacked = packed ? stream.pipeThrough(new DecompressionStream('gzip')) : stream;
  const chapters = (await new Response(unpacked).json()) as readonly { readonly text: string }[];
  return { name: 'Moby-Dick', text: chapters.map(({ text }) => text).join('\n\n') };
}
