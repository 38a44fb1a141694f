import { XlstmError } from '../errors.ts';
import { parseJson } from '../json.ts';
import { type Adapter, LARGEST_RANK } from '../nn/adapter.ts';
import type { Network } from '../nn/layer.ts';
import type { AdapterValues, Model } from '../nn/model.ts';
import type { NamedValues } from '../nn/parameters.ts';
import { oneLine, quote } from '../quote.ts';
import type { ModelFiles } from './model_source.ts';
import { parseSafetensors } from './safetensors.ts';
import { numbersOf } from './stored_tensor.ts';

/** The files of an adapter, as PEFT has them: its settings with the path of its base, and A and B of each matrix. */
export const ADAPTER_CONFIG = 'adapter_config.json';
export const ADAPTER_WEIGHTS = 'adapter_model.safetensors';
export const ADAPTER_FILES = [ADAPTER_CONFIG, ADAPTER_WEIGHTS] as const;

/** What PEFT calls the base. */
const BASE = 'base_model_name_or_path';

/** In the metadata of the weights: PEFT passes over them, and refuses a key in its settings that it does not know. */
const FINGERPRINT = 'base_fingerprint';

/** An adapter that is to be laid over a model. */
export interface GivenAdapter {
  /** Which matrices have one, and how it counts. */
  readonly adapter: Adapter;
  /** What A and B begin with. */
  readonly values: AdapterValues;
  /** Tells the model that they were trained over, as `modelFingerprint` does. Left out: it is not known. */
  readonly fingerprint?: string | undefined;
}

/** What PEFT has in its settings that changes what an adapter computes, beside rank, alpha and matrices; each must be as here. */
const PLAIN = {
  peft_type: ['LORA'],
  bias: ['none'],
  ...{ use_dora: [false], use_rslora: [false], fan_in_fan_out: [false], lora_bias: [false] },
  ...{ modules_to_save: [null], layers_to_transform: [null], exclude_modules: [null] },
  ...{ target_parameters: [null, []], trainable_token_indices: [null], layer_replication: [null] },
  ...{
    use_qalora: [false],
    use_bdlora: [null, false],
    arrow_config: [null],
    alora_invocation_tokens: [null],
  },
  // Others begin with a part of the base, which then no longer is the one that is named.
  init_lora_weights: [true, false, null, 'gaussian', 'eva', 'orthogonal'],
  ...{ rank_pattern: [{}, null], alpha_pattern: [{}, null] },
} as const;

/** The content of adapter_config.json for a model with an adapter. Every matrix is named where the adapter names none. */
export function formatAdapter(model: Model<Network>, { base, rank, alpha, targets }: Adapter): unknown {
  return {
    [BASE]: base === '' ? null : base,
    peft_type: 'LORA',
    task_type: 'CAUSAL_LM',
    r: rank,
    lora_alpha: alpha,
    lora_dropout: 0,
    target_modules: targets ?? model.parameters.adapted.map(({ module }) => module),
    bias: 'none',
    fan_in_fan_out: false,
    inference_mode: true,
    init_lora_weights: true,
    modules_to_save: null,
  };
}

/** The metadata of adapter_model.safetensors. */
export const adapterMetadata = (fingerprint: string): Record<string, string> => ({
  format: 'pt',
  [FINGERPRINT]: fingerprint,
});

/** The settings of the adapter that the files hold; undefined where they hold none. Throws as `adapterIn`. */
export async function adapterConfigIn(files: ModelFiles): Promise<Adapter | undefined> {
  if (!files.names.includes(ADAPTER_CONFIG)) return undefined;
  const source = `${files.place}${ADAPTER_CONFIG}`;
  return parseAdapter(parseJson(await files.read(ADAPTER_CONFIG), source, 'checkpoint'), source);
}

/**
 * The adapter that the files hold; undefined where they hold none. Throws a checkpoint error that names file and key for
 * what is missing, damaged, no finite number, or computed otherwise than here.
 */
export async function adapterIn(files: ModelFiles): Promise<GivenAdapter | undefined> {
  const adapter = await adapterConfigIn(files);
  if (!adapter) return undefined;
  const file = `${files.place}${ADAPTER_WEIGHTS}`;
  const { tensors: stored, metadata } = parseSafetensors(await files.read(ADAPTER_WEIGHTS), file);
  const tensors = new Map<string, NamedValues>();
  for (const [name, tensor] of stored) {
    const values = numbersOf(tensor, `${file}: tensor ${quote(name)}`);
    const at = values.findIndex((value) => !Number.isFinite(value));
    if (at >= 0) {
      throw new XlstmError(
        'checkpoint',
        `${file}: ${quote(name)}: position ${at}: expected a finite number, found ${values[at]}`,
        'The file is damaged, or its training diverged.',
      );
    }
    tensors.set(name, { shape: tensor.shape, values });
  }
  return { adapter, values: { tensors, file }, fingerprint: metadata[FINGERPRINT] };
}

function parseAdapter(json: unknown, source: string): Adapter {
  const fail = (key: string, expected: string, found: unknown, hint?: string): never => {
    throw new XlstmError(
      'checkpoint',
      `${source}: ${key}: expected ${expected}, found ${found === undefined ? 'nothing' : quote(found)}`,
      hint,
    );
  };
  if (typeof json !== 'object' || json === null || Array.isArray(json)) {
    throw new XlstmError('checkpoint', `${source}: expected an object, found ${quote(json)}`);
  }
  const found = json as Readonly<Record<string, unknown>>;
  for (const [key, allowed] of Object.entries(PLAIN)) {
    const value = found[key];
    if (value === undefined && key !== 'peft_type') continue;
    if (allowed.some((each) => JSON.stringify(each) === JSON.stringify(value))) continue;
    fail(
      key,
      JSON.stringify(allowed[0]),
      value,
      'Adapters are low-rank matrices alone: LoRA without extensions.',
    );
  }
  const { r: rank, lora_alpha: alpha, target_modules: targets, [BASE]: base } = found;
  const isRank = Number.isSafeInteger(rank) && (rank as number) >= 1 && (rank as number) <= LARGEST_RANK;
  if (!isRank) fail('r', `a whole number from 1 to ${LARGEST_RANK}`, rank);
  if (!Number.isFinite(alpha) || (alpha as number) <= 0) fail('lora_alpha', 'a number above 0', alpha);
  const named =
    Array.isArray(targets) && targets.length > 0 && targets.every((t) => typeof t === 'string' && t !== '');
  if (!named)
    fail('target_modules', 'a list of names of matrices', targets, 'Patterns are not read: name each.');
  if (base !== undefined && base !== null && typeof base !== 'string') fail(BASE, 'a path', base);
  return {
    rank: rank as number,
    alpha: alpha as number,
    targets: targets as readonly string[],
    base: (base as string | null | undefined) ?? '',
    source,
    code: 'checkpoint',
  };
}

/** Throws a checkpoint error unless an adapter was trained over the model of this fingerprint, or it is not known over which. */
export function requireBase(
  { adapter, values, fingerprint }: GivenAdapter,
  found: string,
  place: string,
): void {
  if (fingerprint === undefined || fingerprint === found) return;
  const file = 'file' in values ? values.file : adapter.source;
  throw new XlstmError(
    'checkpoint',
    `${file}: ${FINGERPRINT}: expected that of ${place}, ${found}, found ${oneLine(fingerprint)}`,
    `The adapter belongs to another model or to other weights of it${adapter.base && `: it was trained over ${oneLine(adapter.base)}`}.`,
  );
}
