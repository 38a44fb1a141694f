import { button, h, on } from './dom.ts';

export interface GivenText {
  readonly name: string;
  readonly text: string;
  /** Its name in the library, of a text that comes with it, and where the part begins that is held out. */
  readonly corpus?: string;
  readonly heldFrom?: number;
}

/** A text of more bytes would take more memory than a page has. */
const MOST_BYTES = 64e6;

/** A file and where it lay in what was chosen or dropped. */
export interface GivenFile {
  readonly path: string;
  readonly file: File;
}

/** The text of a file. Rejects with what to do where it is too large or no text. */
export async function readTextFile({ file }: GivenFile): Promise<GivenText> {
  if (file.size <= MOST_BYTES) return readBeginning(file);
  throw new Error(
    `${file.name} has ${(file.size / 1e6).toFixed(0)} MB: this page reads up to ${MOST_BYTES / 1e6} MB. Take a part of it.`,
  );
}

/** The same, but of a large file the beginning. */
export async function readBeginning(file: File): Promise<GivenText> {
  // What follows may be the rest of a character.
  const stream = file.size > MOST_BYTES;
  try {
    const bytes = await file.slice(0, MOST_BYTES).arrayBuffer();
    return { name: file.name, text: new TextDecoder('utf-8', { fatal: true }).decode(bytes, { stream }) };
  } catch (error) {
    throw Object.assign(
      new Error(
        error instanceof TypeError
          ? `${file.name} is no text in UTF-8.`
          : `${file.name} cannot be read (${(error as Error).message}).`,
      ),
      { hint: 'Save it as a text, or take another file.' },
    );
  }
}

/** A place to drop files on, with a button that opens the file dialogue and one that takes a pasted text. */
export function dropZone(options: {
  readonly what: string;
  readonly accept: string;
  /** Several, or a folder of them. */
  readonly multiple?: boolean;
  readonly files: (files: readonly GivenFile[]) => void;
  /** Left out: nothing can be pasted. */
  readonly pasted?: (text: string) => void;
}): HTMLElement {
  const { what, accept, multiple } = options;
  const input = fileInput({ accept, multiple, 'aria-label': what }, options.files);
  const zone = h(
    'div',
    { class: 'drop' },
    h('span', {}, `Drop ${what} here, or `),
    button(multiple ? 'choose files' : 'choose a file', () => input.click(), { class: 'quiet' }),
    input,
  );
  if (multiple) {
    const folder = fileInput({ webkitdirectory: true, 'aria-label': `The folder of ${what}` }, options.files);
    zone.append(
      ' or ',
      button('a folder', () => folder.click(), { class: 'quiet' }),
      folder,
    );
  }
  if (options.pasted) zone.append(...pasteBox(options.what, options.pasted));
  return on(zone, {
    dragover: (event) => {
      event.preventDefault();
      zone.classList.add('over');
    },
    dragleave: () => zone.classList.remove('over'),
    drop: (event) => {
      event.preventDefault();
      zone.classList.remove('over');
      void droppedFiles(event.dataTransfer).then((files) => {
        if (files.length > 0) options.files(files);
      });
    },
  });
}

function fileInput(
  attributes: Readonly<Record<string, string | boolean | undefined>>,
  chosen: (files: readonly GivenFile[]) => void,
): HTMLInputElement {
  const input = on(h('input', { type: 'file', hidden: true, ...attributes }), {
    change: () => {
      const files = [...(input.files ?? [])];
      if (files.length > 0)
        chosen(files.map((file) => ({ path: file.webkitRelativePath || file.name, file })));
      input.value = '';
    },
  });
  return input;
}

/** What was dropped, that of folders too. */
async function droppedFiles(dropped: DataTransfer | null): Promise<readonly GivenFile[]> {
  // To be asked for at once: the list is empty later.
  const entries = [...(dropped?.items ?? [])].map((item) => item.webkitGetAsEntry());
  return (await Promise.all(entries.map((entry) => (entry ? filesOf(entry) : [])))).flat();
}

async function filesOf(entry: FileSystemEntry): Promise<readonly GivenFile[]> {
  if (entry.isFile) {
    const file = await new Promise<File>((resolve, reject) =>
      (entry as FileSystemFileEntry).file(resolve, reject),
    );
    return [{ path: entry.fullPath, file }];
  }
  const reader = (entry as FileSystemDirectoryEntry).createReader();
  const all: GivenFile[] = [];
  for (;;) {
    const some = await new Promise<FileSystemEntry[]>((resolve, reject) =>
      reader.readEntries(resolve, reject),
    );
    if (some.length === 0) return all;
    for (const each of some) all.push(...(await filesOf(each)));
  }
}

function pasteBox(what: string, pasted: (text: string) => void): Node[] {
  const area = h('textarea', { rows: 5, 'aria-label': `Paste ${what}`, spellcheck: 'false' });
  const box = h(
    'div',
    { class: 'paste', hidden: true },
    area,
    button('Take it', () => {
      box.hidden = true;
      pasted(area.value);
    }),
  );
  const open = button(
    'paste',
    () => {
      box.hidden = !box.hidden;
      if (!box.hidden) area.focus();
    },
    { class: 'quiet' },
  );
  return [document.createTextNode(' or '), open, box];
}

/** Offers bytes as a file to keep. */
export function download(name: string, content: Uint8Array<ArrayBuffer>): void {
  const address = URL.createObjectURL(new Blob([content]));
  const link = h('a', { href: address, download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(address), 10_000);
}
