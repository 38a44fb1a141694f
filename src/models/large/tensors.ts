import type { NamedValues } from '../../nn/parameters.ts';
import { feedForwardDim, type LargeConfig, qkDim, vDim } from './config.ts';

/** Matrices and biases that read the same input: the name of all as one, joined row by row, and the parts. */
function fusions(config: LargeConfig): Readonly<Record<string, Readonly<Record<string, number>>>> {
  const [qk, v, inner] = [qkDim(config), vDim(config), feedForwardDim(config)];
  return {
    'mlstm_layer.qkv_opreact': { q: qk, k: qk, v, ogate_preact: v },
    'mlstm_layer.ifgate_preact': { igate_preact: config.numHeads, fgate_preact: config.numHeads },
    'ffn.proj_up_gate_z': { proj_up_gate: inner, proj_up: inner },
  };
}

/** The official package's name of the embedding, and that of `transformers`, which is the parameter's. */
const OFFICIAL_EMBEDDING = 'embedding.weight';
const EMBEDDING = 'backbone.embeddings.weight';
const HEAD = 'lm_head.weight';

/** The parameters in a file's tensors, whose matrices may be fused and whose embedding may have its official name. */
export function parametersOf(
  tensors: ReadonlyMap<string, NamedValues>,
  config: LargeConfig,
): ReadonlyMap<string, NamedValues> {
  const parameters = new Map<string, NamedValues>();
  const split = fusions(config);
  for (const [name, tensor] of tensors) {
    if (name === OFFICIAL_EMBEDDING && !tensors.has(EMBEDDING)) {
      parameters.set(EMBEDDING, tensor);
      continue;
    }
    // A tied matrix may be stored a second time.
    if (name === HEAD && config.tieWeights) continue;
    const [, prefix, fused, suffix] =
      /^(.*\.)((?:mlstm_layer|ffn)\.[a-z_]+)\.(weight|bias)$/.exec(name) ?? [];
    const parts = fused === undefined ? undefined : split[fused];
    const rows = parts && Object.values(parts).reduce((sum, part) => sum + part, 0);
    if (!parts || tensor.shape[0] !== rows) {
      parameters.set(name, tensor);
      continue;
    }
    let row = 0;
    for (const [part, count] of Object.entries(parts)) {
      const place = fused.slice(0, fused.indexOf('.') + 1);
      parameters.set(`${prefix}${place}${part}.${suffix}`, new RowsOf(tensor, row, count));
      row += count;
    }
  }
  return parameters;
}

/** The tensors of a file: parameters as they are, or with those that belong together as one. */
export function tensorsOf(
  parameters: ReadonlyMap<string, NamedValues>,
  config: LargeConfig,
): ReadonlyMap<string, NamedValues> {
  if (config.weightMode === 'single') return parameters;
  const tensors = new Map(parameters);
  for (const [fused, parts] of Object.entries(fusions(config))) {
    const place = fused.slice(0, fused.indexOf('.') + 1);
    const names = Object.keys(parts).map((part) => `${place}${part}`);
    for (const name of parameters.keys()) {
      const [, prefix, suffix] = /^(.*\.blocks\.\d+\.)(.*)$/.exec(name) ?? [];
      const kind = ['weight', 'bias'].find((each) => suffix === `${names[0]}.${each}`);
      if (!kind) continue;
      const joined = names.map((each) => parameters.get(`${prefix}${each}.${kind}`) as NamedValues);
      for (const each of names) tensors.delete(`${prefix}${each}.${kind}`);
      tensors.set(`${prefix}${fused}.${kind}`, joinRows(joined));
    }
  }
  return tensors;
}

/** The tensors of a file of the official package: it reads single matrices, and has no tied one. */
export function officialTensorsOf(
  parameters: ReadonlyMap<string, NamedValues>,
  { tieWeights }: LargeConfig,
): ReadonlyMap<string, NamedValues> {
  const tensors = new Map<string, NamedValues>();
  for (const [name, tensor] of parameters)
    tensors.set(name === EMBEDDING ? OFFICIAL_EMBEDDING : name, tensor);
  const embedding = parameters.get(EMBEDDING);
  return tieWeights && embedding ? tensors.set(HEAD, embedding) : tensors;
}

function joinRows(parts: readonly NamedValues[]): NamedValues {
  const shape = [parts.reduce((sum, part) => sum + part.shape[0], 0), ...parts[0].shape.slice(1)];
  return {
    shape,
    get values() {
      const values = new Float32Array(shape.reduce((product, size) => product * size, 1));
      let at = 0;
      for (const part of parts) {
        const own = part.values;
        values.set(own, at);
        at += own.length;
      }
      return values;
    },
  };
}

/** Some rows of a tensor. */
class RowsOf implements NamedValues {
  readonly #whole: NamedValues;
  readonly #from: number;
  readonly #to: number;
  readonly shape: readonly number[];

  constructor(whole: NamedValues, first: number, count: number) {
    const columns = whole.shape.slice(1);
    const width = columns.reduce((product, size) => product * size, 1);
    this.#whole = whole;
    this.#from = first * width;
    this.#to = (first + count) * width;
    this.shape = [count, ...columns];
  }

  get values(): ArrayLike<number> {
    return this.slice(0, this.#to - this.#from);
  }

  slice(from: number, to: number): ArrayLike<number> {
    const [first, last] = [this.#from + from, this.#from + to];
    return this.#whole.slice?.(first, last) ?? Array.from(this.#whole.values).slice(first, last);
  }
}
