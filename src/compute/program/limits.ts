import { XlstmError } from '../../errors.ts';
import { PARTITIONS, THREAD_SCRATCH } from './constants.ts';

/**
 * What an engine's kernels can take, and what they are fastest with. `plan` fits a graph to it; building a graph decides
 * nothing of it, so one graph serves every engine.
 */
export interface EngineLimits {
  /** Partial sums of a reduction over rows, for which a call needs workspace. */
  readonly partitions: number;
  /** Elements of private workspace of each thread. */
  readonly threadScratch: number;
  /** Bytes: every array begins at a multiple of it. */
  readonly alignment: number;
  /** Bytes of one region, at most. */
  readonly largestBinding: number;
  /**
   * Long arrays are sized by powers of two, and a kernel that walks through several of them at once would need the same
   * few sets of each cache for all. So what takes `fromBytes` or more ends with a gap.
   */
  readonly longArrays: {
    /** Size from which an array is long. */
    readonly fromBytes: number;
    /** Size of the gap. */
    readonly gapBytes: number;
  };
  /** Rows and columns of the blocks that have kernels of their own; larger ones are worth a matrix product. */
  readonly smallBlock: number;
  /**
   * Tokens of a chunk of the mLSTM: `narrow`, or `wide` for heads of `wideFrom` units, since longer chunks halve the
   * states that are saved. A sequence up to `whole` is one chunk where the head is wide beside it: carrying no state at
   * all is then the fastest. Fewer where a chunk's rows do not fit a thread's workspace.
   */
  readonly mlstmChunk: {
    /** Tokens of a chunk of narrower heads. */
    readonly narrow: number;
    /** Tokens of a chunk of wide heads. */
    readonly wide: number;
    /** Width of a head from which it is wide; that of its keys or of its values, whichever is larger. */
    readonly wideFrom: number;
    /** Tokens of the longest sequence that may be one chunk. */
    readonly whole: number;
  };
  /** Of scans that compute the states within a chunk again for their gradients: its tokens, and elements of its states. */
  readonly scanChunk: {
    /** The most that a chunk has. */
    readonly tokens: number;
    /** The most that a thread holds of the states of a chunk's tokens. */
    readonly stateElements: number;
  };
  /** Kernels that the engine has not, by their names. */
  readonly lacks: Readonly<Record<string, Lack>>;
  /**
   * Whether the mLSTM computes its chunks at once, after the states between them: then it has workspace for all of these,
   * and for what a token adds to them.
   */
  readonly chunksAtOnce?: true;
  /**
   * Whether arrays of the workspace share no memory and lie apart: for kernels that report who touches what is between
   * them (scripts/check_sanitized.js).
   */
  readonly apart?: true;
}

/** Why an engine lacks a kernel. */
export interface Lack {
  /** What is missing. */
  readonly reason: string;
  /** What to do. */
  readonly hint: string;
}

/** Whether an engine lacks a kernel. */
export const lacksKernel = (kernel: string, { lacks }: EngineLimits): boolean => Object.hasOwn(lacks, kernel);

/** Throws an engine error, whose message begins with `what`, where an engine lacks a kernel. */
export function requireKernel(what: string, kernel: string, limits: EngineLimits): void {
  if (!lacksKernel(kernel, limits)) return;
  const { reason, hint } = limits.lacks[kernel];
  throw new XlstmError('engine', `${what}: ${reason}`, hint);
}

/** Tokens of a chunk of a scan, of whose state a thread holds so many elements at once for each token. */
export const chunkOfScan = (elements: number, { scanChunk }: EngineLimits): number =>
  Math.max(1, Math.min(scanChunk.tokens, Math.floor(scanChunk.stateElements / elements)));

/** The C++ kernels', and so the reference engine's: it runs the same Programs. */
export const cpuLimits: EngineLimits = {
  partitions: PARTITIONS,
  threadScratch: THREAD_SCRATCH,
  alignment: 64, // a cache line
  largestBinding: Number.MAX_SAFE_INTEGER, // a word holds addresses up to it exactly
  longArrays: { fromBytes: 1 << 18, gapBytes: 4096 + 5 * 64 }, // a page and some lines
  smallBlock: 8, // a matrix product of 4 × 4 would be all overhead
  mlstmChunk: { narrow: 64, wide: 128, wideFrom: 256, whole: 256 },
  scanChunk: { tokens: 16, stateElements: 1 << 18 }, // what stays in a core's cache
  lacks: {},
};

/** The limits of an engine without dot products of bfloat16. */
export const withoutBf16 = (limits: EngineLimits, reason: string): EngineLimits => ({
  ...limits,
  lacks: {
    ...limits.lacks,
    ...Object.fromEntries(
      ['gemmBf16', 'panelLinear', 'mlstmForwardBf16', 'mlstmBackwardBf16'].map((kernel) => [
        kernel,
        {
          reason,
          hint: 'Use precision f32, the native engine on a processor with AVX-512 and its bfloat16 instructions (avx512_bf16), or webgpu.',
        },
      ]),
    ),
  },
});

export const apartLimits: EngineLimits = { ...cpuLimits, apart: true };
