import { button, h } from '../dom.ts';

const MOST_BLOCKS = 12;
const NAMES: Readonly<Record<string, string>> = { m: 'mLSTM', s: 'sLSTM' };

/** The ratio of the paper: xLSTM[7:1] is seven mLSTM blocks to one of sLSTM. */
export function notation(blocks: string): string {
  const m = [...blocks].filter((kind) => kind === 'm').length;
  const s = blocks.length - m;
  const divisor = (a: number, b: number): number => (b === 0 ? a : divisor(b, a % b));
  const common = divisor(m, s) || 1;
  return `xLSTM[${m / common}:${s / common}]`;
}

/** A row of blocks, of which each is an mLSTM or an sLSTM; a click makes it the other. */
export function blocksStrip(first: string, changed: (blocks: string) => void): HTMLElement {
  let blocks = first;
  const row = h('div', {
    class: 'blocks',
    role: 'group',
    'aria-label': 'Blocks, from the text to the prediction',
  });
  const title = h('p', { class: 'notation', 'aria-live': 'polite' });
  const fewer = button('−', () => set(blocks.slice(0, -1)), {
    'aria-label': 'One block fewer',
    class: 'small',
  });
  const more = button('+', () => set(`${blocks}m`), { 'aria-label': 'One block more', class: 'small' });

  function set(next: string, focus?: number): void {
    blocks = next;
    row.replaceChildren(
      ...[...blocks].map((kind, i) =>
        button(kind, () => set(blocks.slice(0, i) + (kind === 'm' ? 's' : 'm') + blocks.slice(i + 1), i), {
          class: `block ${kind}`,
          'aria-label': `Block ${i + 1}: ${NAMES[kind]}. Make it an ${NAMES[kind === 'm' ? 's' : 'm']}`,
          title: NAMES[kind],
        }),
      ),
      fewer,
      more,
    );
    fewer.disabled = blocks.length === 1;
    more.disabled = blocks.length === MOST_BLOCKS;
    title.textContent = `${notation(blocks)}, ${blocks.length} ${blocks.length === 1 ? 'block' : 'blocks'}`;
    if (focus !== undefined) (row.children[focus] as HTMLElement).focus();
    changed(blocks);
  }
  set(first);
  return h('div', { class: 'strip' }, title, row);
}
