import type { PackedFormat } from '../compute/program/constants.ts';
import { byteTokenizerJson } from '../data/subword/byte_tokenizer_json.ts';
import { ByteTokenizer, type Tokenizer } from '../data/tokenizer.ts';
import { tokenizerFiles } from '../data/tokenizer_files.ts';
import { XlstmError } from '../errors.ts';
import { formatDesign } from '../models/registry.ts';
import type { Design, FileLayout, ForeignLayout } from '../nn/architecture.ts';
import { checkFit } from '../nn/model.ts';
import { Parameters, Scope } from '../nn/parameters.ts';
import { checkVocabulary, type OpenCheckpoint } from './checkpoint.ts';
import { withCheckpoint } from './checkpoint_folder.ts';
import { configText } from './config_text.ts';
import type { FileContent } from './files.ts';
import { checkNew, writeFolder } from './new_folder.ts';
import { type StreamedTensor, safetensorsPieces } from './weight_stream.ts';

/** How a model is converted. */
export interface ConvertOptions {
  /** Whose files are written: `xlstm` is this project. */
  readonly to: 'xlstm' | ForeignLayout;
  /** Matrices are packed, which `xlstm` alone reads. */
  readonly packing?: PackedFormat | undefined;
  /** Called as the weights are written. */
  onProgress?(writtenBytes: number, totalBytes: number): void;
}

/** What was written. */
export interface Converted {
  /** Numbers of the model. */
  readonly parameters: number;
  /** Of the weights. */
  readonly bytes: number;
}

/**
 * Writes the model of a path that `loadCheckpoint` takes into a new folder, as another program or this one reads it: some rows
 * of one tensor are in memory at a time, and nothing is computed. Throws a usage error where the other program has no such model,
 * a checkpoint or config error for files that are damaged or do not fit; nothing is left of the folder then.
 *
 * @param options Whose files, and more.
 */
export async function convertCheckpoint(
  input: string,
  output: string,
  { to, packing, onProgress }: ConvertOptions,
): Promise<Converted> {
  checkNew(output);
  return withCheckpoint(
    input,
    async (checkpoint) => {
      const { design, tensors, weightsSource } = checkpoint;
      const parameters = new Parameters(design.packing);
      const network = design.build(new Scope(parameters));
      if (packing !== undefined && parameters.packed.bytes === 0) {
        throw new XlstmError(
          'data',
          `${input}: expected matrices of 32 × 32 numbers or more, found none`,
          'There is nothing to gain by small weights.',
        );
      }
      checkFit(parameters.list, tensors, weightsSource);
      checkVocabulary(checkpoint.tokenizer, network, undefined, checkpoint.source);
      const layout = layoutOf(design, to, input);
      const formats = new Map(parameters.list.map(({ name, format }) => [name, format]));
      const ordered = new Map(parameters.list.map(({ name }) => [name, tensors.get(name)!]));
      const written = [...layout.encode(ordered, design.config)];
      const entries = written.map(([name, { shape }]): StreamedTensor => {
        const format = formats.get(name);
        const own = format && parameters.list.find((parameter) => parameter.name === name)?.shape;
        return { name, shape: own ?? shape, format };
      });
      const values = written.map(([, tensor]) => tensor);
      const files = new Map<string, FileContent>([
        [layout.configName, await textOf(layout, design)],
        ...tokenizerTexts(checkpoint, to),
        ['model.safetensors', safetensorsPieces(entries, values, weightsSource, onProgress)],
      ]);
      await writeFolder(output, files);
      const bytes = parameters.regions.reduce((sum, region) => sum + region.bytes, 0);
      return { parameters: parameters.count, bytes };
    },
    packing,
  );
}

function layoutOf(design: Design, to: ConvertOptions['to'], input: string): FileLayout {
  const { architecture, packing } = design;
  if (to === 'xlstm') {
    return {
      configName: 'config.json',
      formatConfig: () => formatDesign(design),
      encode: (parameters, config) =>
        (packing === undefined && architecture.tensors?.encode(parameters, config)) || parameters,
    };
  }
  if (packing !== undefined) {
    throw new XlstmError(
      'usage',
      `${input}: its weights are ${packing} of xlstm, which no other program reads`,
      'Convert the model that it was made from.',
    );
  }
  const layout = architecture.layouts?.[to];
  if (layout) return layout;
  const known = Object.keys(architecture.layouts ?? {});
  const program = to === 'official' ? "the official package's" : `those of ${to}`;
  throw new XlstmError(
    'usage',
    `${input}: ${design.describe().summary}: there is no such model among ${program}`,
    known.length > 0 ? `Write it with --to ${known.join(' or ')}.` : 'Other programs have no models like it.',
  );
}

/** Other programs have no tokenizer of bytes: they get one of Hugging Face that has the same ids. */
function tokenizerTexts({ tokenizer }: OpenCheckpoint, to: ConvertOptions['to']): [string, string][] {
  if (!tokenizer) return [];
  if (to !== 'transformers') return jsonFiles(tokenizerFiles(tokenizer));
  const files =
    tokenizer instanceof ByteTokenizer
      ? new Map([['tokenizer.json', byteTokenizerJson([...tokenizer.specials.keys()])]])
      : tokenizerFiles(tokenizer);
  if (!files.has('tokenizer_config.json')) files.set('tokenizer_config.json', configOf(tokenizer));
  return jsonFiles(files);
}

/** Without it `transformers` does not know what to make of tokenizer.json. */
const configOf = ({ specials }: Tokenizer): unknown => ({
  tokenizer_class: 'PreTrainedTokenizerFast',
  clean_up_tokenization_spaces: false,
  ...(specials.size > 0 && { additional_special_tokens: [...specials.keys()] }),
});

const jsonFiles = (files: ReadonlyMap<string, unknown>): [string, string][] =>
  [...files].map(([name, content]) => [name, json(content)]);

const json = (content: unknown): string => `${JSON.stringify(content, null, 2)}\n`;

async function textOf({ configName, formatConfig }: FileLayout, design: Design): Promise<string> {
  const config = formatConfig(design.config);
  if (configName === 'config.json') return configText(config, design.architecture.decimals);
  const { stringify } = await import('yaml');
  return stringify(config);
}
