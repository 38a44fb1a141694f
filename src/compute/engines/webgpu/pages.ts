import { XlstmError } from '../../../errors.ts';
import { bytesOf } from '../../program/dtypes.ts';
import { kernels } from '../../program/kernels.ts';
import type { Address, Instruction } from '../../program/program.ts';

/** Pages are multiples of it, so that none cuts numbers that are read four at a time. */
const UNIT = 256;

/**
 * Bytes of a page. A region lies in as many buffers as it takes, each a page but for the last, which may be smaller: a
 * device bounds what a buffer holds, and what of it a shader sees.
 */
export const pageBytesOf = ({ limits }: GPUDevice): number =>
  Math.floor(Math.min(limits.maxBufferSize, limits.maxStorageBufferBindingSize) / UNIT) * UNIT;

/** The numbers of the pages of its region that an array lies in. */
export function pagesOf({ offset, bytes }: Address, pageBytes: number): number[] {
  const first = Math.floor(offset / pageBytes);
  const last = Math.floor((offset + Math.max(bytes, 1) - 1) / pageBytes);
  return Array.from({ length: last - first + 1 }, (_, i) => first + i);
}

/** Shaders count elements in 32 bits. */
export function requireCountable(kernel: string, { offset, bytes, label }: Address, pageBytes: number): void {
  if ((offset % pageBytes) + bytes <= bytesOf('f32', 2 ** 32)) return;
  throw new XlstmError(
    'engine',
    `kernel ${kernel}: ${label} takes ${bytes.toLocaleString('en-US')} bytes, a shader counts up to ` +
      bytesOf('f32', 2 ** 32).toLocaleString('en-US'),
    'use a smaller batch, context or model, or another engine',
  );
}

/** Of the optimizer's arrays, which are whole regions, each call sees one page: a shader takes few buffers. */
export function callsByPage(instruction: Instruction, pageBytes: number): Instruction[] {
  const { kernel, words } = instruction;
  if (kernel !== 'adamw') return [instruction];
  const names = Object.keys(kernels.adamw.operands);
  const count = words[names.indexOf('count')] as number;
  const slot = bytesOf('f32');
  const starts = new Set([0]);
  for (const [i, word] of words.entries()) {
    if (typeof word === 'number' || names[i] === 'schedule') continue;
    for (let at = pageBytes - (word.offset % pageBytes); at < slot * count; at += pageBytes)
      starts.add(at / slot);
  }
  const order = [...starts].sort((a, b) => a - b);
  return order.map((start, n) => {
    const own = (order[n + 1] ?? count) - start;
    return {
      kernel,
      words: words.map((word, i) => {
        if (names[i] === 'count') return own;
        if (typeof word === 'number' || names[i] === 'schedule') return word;
        return { ...word, offset: word.offset + slot * start, bytes: slot * own };
      }),
    };
  });
}
