import { describe, expect, it } from 'vitest';
import { LiveBlock } from './live_block.ts';

function record(isTTY: boolean, rows = 24) {
  const writes: string[] = [];
  const lines = ['one', 'two'];
  let time = 0;
  const stream = { isTTY, columns: 80, rows, write: (text: string) => writes.push(text) };
  const block = new LiveBlock(
    () => lines,
    stream,
    {},
    () => time,
  );
  return { block, writes, lines, stream, wait: (ms: number) => (time += ms) };
}

describe('LiveBlock', () => {
  it('keeps printed lines above the block', () => {
    const { block, writes } = record(true);
    block.update();
    block.print('saved');
    expect(writes).toEqual(['one\ntwo\n', '\x1b[2A\r\x1b[Jsaved\n', 'one\ntwo\n']);
    block.finish();
    expect(writes.length).toBe(3);
    block.print('done');
    expect(writes[3]).toBe('done\n');
  });

  it('draws only so often, and what came last at the end', () => {
    const { block, writes, lines, wait } = record(true);
    block.update();
    wait(10);
    lines[1] = 'three';
    block.update();
    expect(writes.length).toBe(1);
    block.finish();
    expect(writes[1]).toBe('\x1b[2A\r\x1b[Jone\nthree\n');
  });

  it('shows the end of a block that is higher than the terminal: what has scrolled away cannot be redrawn', () => {
    const { block, writes, lines } = record(true, 3);
    lines.push('three');
    block.update();
    block.print('saved');
    expect(writes).toEqual(['two\nthree\n', '\x1b[2A\r\x1b[Jsaved\n', 'two\nthree\n']);
  });

  it('erases the rows that its lines take after the terminal became narrower', () => {
    const { block, writes, lines, stream, wait } = record(true);
    lines[0] = 'x'.repeat(79);
    block.update();
    stream.columns = 40;
    wait(200);
    block.update();
    expect(writes[1].startsWith('\x1b[3A\r\x1b[J')).toBe(true);
  });

  it('draws nothing where there are no lines', () => {
    const { block, writes, lines } = record(true);
    lines.length = 0;
    block.update();
    block.finish();
    expect(writes).toEqual([]);
  });

  it('writes only what is printed where nothing can be redrawn', () => {
    const { block, writes } = record(false);
    block.update();
    block.print('saved');
    block.finish();
    expect(writes).toEqual(['saved\n']);
  });
});
