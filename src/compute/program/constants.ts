/**
 * Numbers on which the planner and the C++ kernels have to agree. scripts/header.js writes them to
 * kernels/generated/constants.h, and the kernel table's signature covers them. Sizes are in float32.
 */
export const kernelConstants = {
  /**
   * Partial sums of kernels that reduce over rows. Work is split by a partition that does not depend on the thread count,
   * and every reduction has a fixed order, so results do not depend on it either.
   */
  PARTITIONS: 16,
  /** Workspace of each thread, on a cache line. */
  THREAD_SCRATCH: 1 << 20,
  /** The widest vector of any engine: workspace is stated for it. */
  WIDEST_VECTOR: 16,
  /** What a matrix product on one thread packs its operands into, at most. */
  GEMM_SCRATCH: 160_000,
  /** Columns of one pass of the convolution, and rows of its backward pass. */
  CONV_COLUMNS: 512,
  CONV_STRIP: 16,
  /** A block of attention scores. */
  ATTENTION_QUERIES: 64,
  ATTENTION_KEYS: 128,
  /** Elements [rows, 3 · D] of one pass of the mLSTM projections. */
  MLSTM_PROJECTION_ELEMENTS: 24 << 10,
  /** Channels whose sums one thread makes in selectiveScanBackward. */
  SELECTIVE_SCAN_GROUP: 64,
  /** Columns of a packed matrix that share a block word, that rows are filled up to, and words that rows end at. */
  PACKED_BLOCK: 32,
  PACKED_GROUP: 128,
  PACKED_ROW_WORDS: 16,
  /** Up to this many rows of x a packed matrix is read as it is; for more it is unpacked piece by piece. */
  PACKED_FEW_ROWS: 6,
  /** A piece of a packed matrix as float32: a block of packed B of a matrix product. */
  PACKED_PIECE_ROWS: 512,
  PACKED_PIECE_COLUMNS: 256,
  /** Rows of a strip of a matrix in panels. */
  PANEL_ROWS: 16,
} as const;

export const {
  PARTITIONS,
  THREAD_SCRATCH,
  WIDEST_VECTOR,
  GEMM_SCRATCH,
  CONV_COLUMNS,
  CONV_STRIP,
  ATTENTION_QUERIES,
  ATTENTION_KEYS,
  MLSTM_PROJECTION_ELEMENTS,
  SELECTIVE_SCAN_GROUP,
  PACKED_BLOCK,
  PACKED_GROUP,
  PACKED_ROW_WORDS,
  PACKED_FEW_ROWS,
  PACKED_PIECE_ROWS,
  PACKED_PIECE_COLUMNS,
  PANEL_ROWS,
} = kernelConstants;

/**
 * The cells of the recurrent scan (the kernel table's row `recurrentForward`). The order is the `cell` operand: append,
 * never reorder within a release. states are what a cell carries from token to token.
 */
export const recurrentCells = {
  slstm: { gatesPerUnit: 4, savedPlanes: 5, states: ['y', 'c', 'n', 'm'] },
  lstm: { gatesPerUnit: 4, savedPlanes: 4, states: ['y', 'c'] },
  gru: { gatesPerUnit: 3, savedPlanes: 4, states: ['y'] },
  rnn: { gatesPerUnit: 1, savedPlanes: 0, states: ['y'] },
} as const;

/** A cell of `recurrent`. */
export type CellName = keyof typeof recurrentCells;
export const cellNames = Object.keys(recurrentCells) as CellName[];

/** Formats of packed matrices (packing.ts). The order is the `format` operand: append, never reorder within a release. */
export const packedFormats = ['q8', 'q4', 'bf16'] as const;
/** A format of packed matrices. */
export type PackedFormat = (typeof packedFormats)[number];
