import type { ModelFiles } from '../checkpoints/model_source.ts';
import { checkOption } from '../checks.ts';
import { XlstmError } from '../errors.ts';
import { quote } from '../quote.ts';

/** The content of a file; a File of a page is a Blob. */
export type FileContent = Uint8Array | ArrayBuffer | Blob;

/** The files of a model by name: config.json, model.safetensors or another of weights, and tokenizer.json. */
export type NamedFiles = ReadonlyMap<string, FileContent> | Readonly<Record<string, FileContent>>;

/** Where a model lies: in Node a folder or that of a run, everywhere an address, or its files. */
export type ModelSource =
  | string
  | URL
  | {
      /** Their contents by name. */
      readonly files: NamedFiles;
    };

/** Throws a usage error for what is none; `name` says of what. */
export function checkSource(source: unknown, name = 'loadModel'): asserts source is ModelSource {
  const right =
    (typeof source === 'string' && source !== '') ||
    source instanceof URL ||
    (typeof source === 'object' && source !== null && 'files' in source);
  checkOption(right, name, 'a folder, an address or { files }', source);
}

/** Files that a program holds, such as those of `encodeModel` or of a page's file input. */
export function givenFiles(given: NamedFiles): ModelFiles {
  if (typeof given !== 'object' || given === null) {
    throw new XlstmError('usage', `files: expected contents by name, found ${quote(given)}`);
  }
  const contents = given instanceof Map ? given : new Map(Object.entries(given));
  const names: readonly string[] = [...contents.keys()];
  return {
    place: '',
    names,
    read: async (name) => {
      const content: unknown = contents.get(name);
      if (content instanceof Uint8Array) return content;
      if (content instanceof ArrayBuffer) return new Uint8Array(content);
      if (content instanceof Blob) return new Uint8Array(await readBlob(content, name));
      throw content === undefined
        ? new XlstmError(
            'checkpoint',
            `${name}: expected among the files, found ${names.length > 0 ? quote(names) : 'none'}`,
            'A model is config.json, model.safetensors and, for texts, tokenizer.json.',
          )
        : new XlstmError('usage', `${name}: expected bytes or a Blob, found ${quote(content)}`);
    },
  };
}

/** A File that was moved or changed since it was chosen cannot be read. */
async function readBlob(content: Blob, name: string): Promise<ArrayBuffer> {
  try {
    return await content.arrayBuffer();
  } catch (error) {
    throw new XlstmError(
      'checkpoint',
      `${name}: cannot be read (${(error as Error).message})`,
      'Choose the file again.',
    );
  }
}
