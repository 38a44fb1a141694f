import { invariant } from '../../../errors.ts';
import { bytesOf } from '../../program/dtypes.ts';
import type { Sizes } from '../../program/kernels/kernel.ts';
import { kernels } from '../../program/kernels.ts';
import type { Address, Instruction, Word } from '../../program/program.ts';
import type { Region } from '../../program/region.ts';
import { pagesOf, requireCountable } from './pages.ts';
import { scalarMath } from './scalar_math.ts';
import type { MatrixUnit } from './subgroup_matrices.ts';
import { subgroupEntry, workgroupSums } from './workgroup_sums.ts';

/** Part of a kernel call that the GPU runs at once: workgroups that share nothing with each other. */
export interface Dispatch {
  /** Workgroups; the shader finds its own number in `block`. */
  readonly groups: number;
  /** Invocations of a workgroup; the shader finds its own number in `lane`. */
  readonly size: number;
  /** Declarations: functions, workgroup memory. */
  readonly module?: string;
  /** Statements of the entry point. */
  readonly body: string;
  /** It sums across its workgroup (workgroup_sums.ts), of each invocation so many values at once. */
  readonly sums?: number;
  /** What it multiplies matrices of subgroups with. */
  readonly matrices?: MatrixUnit;
  /**
   * The numbers of the call and of its workgroups are read when it runs: one pipeline serves calls of many sizes. Where
   * the text is long, so that compiling takes longer than constants save.
   */
  readonly anySize?: true;
  /**
   * Arrays are read and written four elements at a time too, with x_four(i) (as they lie: x_words(i)) and set_x_four(i, values), i
   * and the array's place being multiples of four; writing single ones would touch their neighbours.
   */
  readonly fours?: true;
  /** Elements of workspace of the dispatch's own, `spare`, which the next dispatch of the call finds. */
  readonly spare?: number;
}

/** A kernel call as its shaders see it. */
export interface Call {
  /** Numbers by operand; an array counts as 1, one that is absent as 0. */
  readonly sizes: Sizes;
  /** Elements from the start of its region to each array that is there. */
  readonly places: Readonly<Record<string, number>>;
  /** The words after the operands. */
  readonly tail: readonly Word[];
}

/** The dispatches of a kernel call, in the order in which they run. Products take `matrices`, where the engine has them. */
export type Lowering = (call: Call, matrices?: MatrixUnit) => readonly Dispatch[];

/** A buffer of the memory of a region. */
export interface Page {
  readonly region: Region;
  readonly index: number;
}

/** What shaders are made for. */
export interface Target {
  /** Whether the device sums across subgroups. */
  readonly subgroups: boolean;
  readonly pageBytes: number;
  /** Where what a dispatch calls `spare` begins. */
  readonly spare: Address;
}

/** What an engine needs to run a dispatch. */
export interface Shader {
  /** WGSL. The same text is compiled once: where arrays lie is not part of it. */
  readonly text: string;
  readonly groups: number;
  /** Bindings 1, 2, … in order. */
  readonly pages: readonly Page[];
  /** Binding 0: elements from the start of its first page to each array, then numbers that are no part of the text. */
  readonly words: Uint32Array<ArrayBuffer>;
}

/** Workgroups of one dimension of a grid; WebGPU guarantees 65,535. */
const GRID = 32768;

/** The two dimensions of a grid. */
export const gridOf = (groups: number): [x: number, y: number] => [
  Math.min(groups, GRID),
  Math.ceil(groups / GRID),
];

/** A float32 as WGSL writes it. What is not finite has no literal and is made from bits at run time. */
export function literal(value: number): string {
  const rounded = Math.fround(value);
  if (Number.isNaN(rounded)) return 'not_a_number()';
  if (!Number.isFinite(rounded)) return rounded > 0 ? 'infinity()' : '(-infinity())';
  const text = String(rounded);
  return `${/[.e]/.test(text) ? text : `${text}.0`}f`;
}

const isAddress = (word: Word): word is Address => typeof word !== 'number';

/** The names and arrays of a call: those of its operands, then `t0`, `t1`, … for those of the tail. */
function arraysOf({ kernel, words }: Instruction): [name: string, address: Address | undefined][] {
  const operands = Object.entries(kernels[kernel].operands);
  const named = operands.flatMap(([name, kind], i): [string, Address | undefined][] => {
    if (kind === 'int' || kind === 'float') return [];
    const word = words[i];
    invariant(isAddress(word) || word === 0, `${kernel}: operand ${name} is ${String(word)}`);
    return [[name, isAddress(word) ? word : undefined]];
  });
  const tail = words.slice(operands.length).filter(isAddress);
  return [...named, ...tail.map((address, i): [string, Address] => [`t${i}`, address])];
}

export function callOf({ kernel, words }: Instruction): Call {
  const names = Object.keys(kernels[kernel].operands);
  const sizes = Object.fromEntries(
    names.map((name, i) => {
      const word = words[i];
      return [name, typeof word === 'number' ? word : 1];
    }),
  );
  const places = Object.fromEntries(
    words.flatMap((word, i) => (isAddress(word) ? [[names[i], word.offset / bytesOf('f32')]] : [])),
  );
  return { sizes, places, tail: words.slice(names.length) };
}

/**
 * The shader of a dispatch. Every number of the call is a constant of its name; every array `x` is read with x_at(i) and
 * written with set_x(i, value), i in elements from its start; an absent one reads as 0 and is not written.
 */
export function shaderOf(
  instruction: Instruction,
  { sizes }: Call,
  dispatch: Dispatch,
  { subgroups, pageBytes, spare }: Target,
): Shader {
  const { module = '', body, groups, size, anySize, sums = 0, fours, matrices } = dispatch;
  const { kernel } = instruction;
  const arrays = arraysOf(instruction).filter(([name]) => uses(module + body, name));
  if (dispatch.spare) arrays.push(['spare', { ...spare, bytes: bytesOf('f32', dispatch.spare) }]);
  const pages: Page[] = [];
  const bindingOf = (region: Region, index: number): number => {
    const known = pages.findIndex((page) => page.region === region && page.index === index);
    return known < 0 ? pages.push({ region, index }) - 1 : known;
  };
  const words: number[] = [];
  const access = arrays.map(([name, address]) => {
    if (!address) return `fn ${name}_at(i: u32) -> f32 { return 0.0; }\nfn set_${name}(i: u32, v: f32) {}\n`;
    requireCountable(kernel, address, pageBytes);
    const offset = wordAt(words.push((address.offset % pageBytes) / bytesOf('f32')) - 1);
    const buffers = pagesOf(address, pageBytes).map((page) => `r${bindingOf(address.region, page)}`);
    const there = (statement: (buffer: string, at: string) => string): string =>
      `let at = ${offset} + i; ${inPages(buffers, pageBytes / bytesOf('f32'), statement)}`;
    if (fours) {
      return (
        `fn ${name}_at(i: u32) -> f32 { ${there((r, at) => `return bitcast<f32>(${r}[${at} >> 2u][${at} & 3u]);`)} }\n` +
        `fn ${name}_four(i: u32) -> vec4f { ${there((r, at) => `return bitcast<vec4f>(${r}[${at} >> 2u]);`)} }\n` +
        `fn ${name}_words(i: u32) -> vec4u { ${there((r, at) => `return ${r}[${at} >> 2u];`)} }\n` +
        `fn set_${name}_four(i: u32, v: vec4f) { ${there((r, at) => `${r}[${at} >> 2u] = bitcast<vec4u>(v);`)} }\n`
      );
    }
    return (
      `fn ${name}_at(i: u32) -> f32 { ${there((r, at) => `return bitcast<f32>(${r}[${at}]);`)} }\n` +
      `fn ${name}_word(i: u32) -> u32 { ${there((r, at) => `return ${r}[${at}];`)} }\n` +
      `fn set_${name}(i: u32, v: f32) { ${there((r, at) => `${r}[${at}] = bitcast<u32>(v);`)} }\n`
    );
  });
  const across = sums > 0 && subgroups;
  const read = new Map<string, string>();
  const numbers = Object.entries(kernels[kernel].operands).flatMap(([name, kind]) => {
    const value = sizes[name];
    if (kind !== 'int' && kind !== 'float')
      return kind.endsWith('?') ? [`const has_${name} = ${value !== 0};\n`] : [];
    if (!anySize || value < 0 || choices.has(name))
      return [
        `const ${name} = ${kind === 'float' ? literal(value) : value < 0 ? `${value}i` : `${value}u`};\n`,
      ];
    const word = wordAt(words.push(kind === 'float' ? bitsOf(value) : value) - 1);
    read.set(name, kind === 'float' ? `bitcast<f32>(${word})` : word);
    return [];
  });
  const count = anySize ? wordAt(words.push(groups) - 1) : `${groups}u`;
  const own = `${module}
@compute @workgroup_size(${size})
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32${across ? subgroupEntry.parameters : (matrices?.parameters ?? '')}) {
${across ? subgroupEntry.statements : (matrices?.statements ?? '')}
let block = group.x + ${GRID}u * group.y;
if (block >= ${count}) { return; }
${body}
}
`;
  const text = [
    across ? 'enable subgroups;\n' : (matrices?.directives ?? ''),
    `@group(0) @binding(0) var<uniform> words: array<vec4u, ${Math.ceil(words.length / 4)}>;\n`,
    ...pages.map(
      (_, i) =>
        `@group(0) @binding(${i + 1}) var<storage, read_write> r${i}: array<${fours ? 'vec4u' : 'u32'}>;\n`,
    ),
    ...numbers,
    ...access,
    scalarMath,
    sums > 0 ? workgroupSums(size, sums, subgroups) : '',
    matrices?.module ?? '',
    read.size > 0 ? own.replace(/(?<![\w.])[a-zA-Z]\w*/g, (name) => read.get(name) ?? name) : own,
  ].join('');
  return { text, groups, pages, words: new Uint32Array(words) };
}

/** Whether a text reads or writes an array: what it does not see takes none of its buffers. */
const uses = (text: string, name: string): boolean =>
  new RegExp(`\\b(?:${name}_(?:at|words?|four)|set_${name}(?:_four)?)\\(`).test(text);

/** A statement of the element `at` of an array, which lies in one page after another. */
function inPages(
  buffers: readonly string[],
  pageElements: number,
  statement: (buffer: string, at: string) => string,
): string {
  const parts = buffers.map((buffer, page) =>
    statement(buffer, page === 0 ? 'at' : `(at - ${page * pageElements}u)`),
  );
  const [first] = parts;
  return parts.length === 1
    ? first
    : parts
        .map((part, page) =>
          page === parts.length - 1 ? `{ ${part} }` : `if (at < ${(page + 1) * pageElements}u) { ${part} }`,
        )
        .join(' else ');
}

/** What decides which code runs, which is part of the text. */
const choices = new Set(['transA', 'transB']);

const wordAt = (index: number): string => `words[${index >> 2}].${'xyzw'[index & 3]}`;
const bitsOf = (value: number): number => new Uint32Array(new Float32Array([value]).buffer)[0];

/** One invocation for each of `count` things, whose number is `index`; `counted` is the count in WGSL. */
export function each(count: number, body: string, module?: string, counted = `${count}u`): Dispatch {
  const size = 64;
  return {
    groups: Math.ceil(count / size),
    size,
    module,
    body: `let index = block * ${size}u + lane;\nif (index >= ${counted}) { return; }\n${body}`,
  };
}

/** One pipeline of each dispatch serves calls of many sizes: for kernels that take long to compile. */
export const ofAnySize = (dispatches: readonly Dispatch[]): Dispatch[] =>
  dispatches.map((dispatch) => ({ ...dispatch, anySize: true }));

/** A power of two of invocations that `count` things of a row keep busy, at most `most`. */
export const widthFor = (count: number, most = 64): number => {
  let width = 1;
  while (width < count && width < most) width *= 2;
  return width;
};

/** Rows [first, last) of partition `p` of `rows` rows in `parts` partitions. */
export const partitionRows = (rows: number, parts: number): string => {
  const share = Math.ceil(rows / parts);
  return `let first = p * ${share}u;\nlet last = min(first + ${share}u, ${rows}u);\n`;
};
