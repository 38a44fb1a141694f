import { checkOption } from '../checks.ts';
import { type PackedFormat, packedFormats } from '../compute/program/constants.ts';
import { XlstmError } from '../errors.ts';
import { type Architecture, Design } from '../nn/architecture.ts';
import type { Network } from '../nn/layer.ts';
import { quote } from '../quote.ts';
import { baselineArchitectures } from './baselines/architectures.ts';
import { largeArchitecture } from './large/architecture.ts';
import { sequenceArchitecture } from './sequence/architecture.ts';
import { tirexArchitecture } from './tirex/architecture.ts';
import { tirex2Architecture } from './tirex2/architecture.ts';
import { xlstmArchitecture } from './xlstm/architecture.ts';

/** What a configuration without a name is if no architecture recognises it: the official package's, whose strict readers
 * refuse keys that they do not know. */
const UNNAMED: Architecture = xlstmArchitecture;

const registered = new Map<string, Architecture>(
  [
    xlstmArchitecture,
    largeArchitecture as Architecture,
    ...baselineArchitectures,
    sequenceArchitecture,
    tirexArchitecture as Architecture,
    tirex2Architecture as Architecture,
  ].map((architecture) => [architecture.name, architecture]),
);

/** The architectures that are there, by the names that config.json has for them. */
export const architectureNames = (): readonly string[] => [...registered.keys()];

/**
 * Makes an architecture of one's own known: models of it are then created, saved, loaded, inspected and trained like
 * the others. Returns it. Throws a usage error where a part is missing or the name is another one's.
 */
export function registerArchitecture<C, N extends Network>(
  architecture: Architecture<C, N>,
): Architecture<C, N> {
  const { name } = architecture;
  checkOption(typeof name === 'string' && /^[^\p{C}]{1,80}$/u.test(name), 'name', 'a printable name', name);
  for (const part of ['parseConfig', 'formatConfig', 'build'] as const) {
    checkOption(
      typeof architecture[part] === 'function',
      `${name}: ${part}`,
      'a function',
      architecture[part],
    );
  }
  const present = registered.get(name) ?? architecture;
  if (present !== architecture) {
    throw new XlstmError(
      'usage',
      `the name ${quote(name)} is another architecture's`,
      'Choose another name.',
    );
  }
  registered.set(name, architecture as Architecture);
  return architecture;
}

/**
 * Reads a configuration: the content of config.json, or what a program says of a model. Its key `architecture` names
 * the architecture or is one; where there is none, it is one that recognises the configuration, else xlstm. `source`
 * begins errors.
 */
export function readDesign(given: unknown, source: string): Design {
  if (typeof given !== 'object' || given === null || Array.isArray(given)) {
    throw new XlstmError('config', `${source}: expected an object, found ${quote(given)}`);
  }
  const { architecture: named, [PACKING]: packing, ...json } = given as Readonly<Record<string, unknown>>;
  if (named === undefined) checkModelType(json, source);
  const architecture = named === undefined ? unnamed(json) : find(named, source);
  return new Design(architecture, architecture.parseConfig(json, source), readPacking(packing, source));
}

/** What `transformers` calls xLSTMs, of both architectures. */
const MODEL_TYPE = 'xlstm';

/** The key under which config.json says how weights are packed, where other programs say how theirs are. */
const PACKING = 'quantization_config';
const METHOD = 'xlstm';

function readPacking(given: unknown, source: string): PackedFormat | undefined {
  if (given === undefined || given === null) return undefined;
  const { quant_method: method, format } = (typeof given === 'object' ? given : {}) as Record<
    string,
    unknown
  >;
  const found = packedFormats.find((each) => each === format);
  if (method === METHOD && found) return found;
  throw new XlstmError(
    'config',
    `${source}: ${PACKING}: expected {"quant_method": "${METHOD}", "format": one of ${packedFormats.join(', ')}}, found ${quote(given)}`,
    'Weights that another program made small cannot be read: take those of float32 or bfloat16, and xlstm quantize.',
  );
}

/** What `transformers` calls a model of another architecture, whose keys could look like those of one that is there. */
function checkModelType({ model_type: type }: Readonly<Record<string, unknown>>, source: string): void {
  if (type === undefined || type === null || type === MODEL_TYPE) return;
  throw new XlstmError(
    'config',
    `${source}: model_type: expected ${quote(MODEL_TYPE)}, found ${quote(type)}`,
    'A model of another architecture cannot be read.',
  );
}

const unnamed = (json: Readonly<Record<string, unknown>>): Architecture =>
  [...registered.values()].find((architecture) => architecture.recognises?.(json)) ?? UNNAMED;

function find(named: unknown, source: string): Architecture {
  for (const [name, architecture] of registered) {
    if (named === name || named === architecture) return architecture;
  }
  throw new XlstmError(
    'config',
    `${source}: architecture: expected one of ${architectureNames().join(', ')}; found ${quote(named)}`,
    'One of your own has to be registered first: registerArchitecture({ name, … }); for the command line in a file that NODE_OPTIONS="--import ./FILE.js" loads.',
  );
}

/** The content of config.json for a design. Throws a usage error where the architecture would not read it back. */
export function formatDesign(design: Design): Readonly<Record<string, unknown>> {
  const { architecture, config, precision } = design;
  if (precision === 'bf16') {
    throw new XlstmError(
      'usage',
      'this model was loaded with precision bf16: its weights are rounded, and no file can hold them',
      'Save the one that it was loaded from, with precision f32; xlstm quantize makes small files.',
    );
  }
  const { architecture: _, ...keys } = architecture.formatConfig(config);
  const named = unnamed(keys) === architecture ? keys : { architecture: architecture.name, ...keys };
  const json =
    design.packing === undefined
      ? named
      : { ...named, [PACKING]: { quant_method: METHOD, format: design.packing } };
  const text = JSON.stringify(json);
  const { config: again } = readDesign(JSON.parse(text), `${architecture.name}: what formatConfig gave`);
  const { architecture: __, ...other } = architecture.formatConfig(again);
  if (JSON.stringify(other) !== JSON.stringify(keys)) {
    throw new XlstmError(
      'usage',
      `${architecture.name}: parseConfig makes another configuration of what formatConfig gave: expected ${quote(keys)}, found ${quote(other)}`,
      'A saved model would not be the same when it is loaded.',
    );
  }
  return json;
}
