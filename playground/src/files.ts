import { button, h, on } from './dom.ts';

export interface GivenText {
  readonly name: string;
  readonly text: string;
}

/** A text of more bytes would take more memory than a page has. */
export const MOST_BYTES = 64e6;

/** The text of a file. Rejects with what to do where it is too large or no text. */
export async function readTextFile(file: File): Promise<GivenText> {
  if (file.size > MOST_BYTES) {
    throw new Error(
      `${file.name} has ${(file.size / 1e6).toFixed(0)} MB: this page reads up to ${MOST_BYTES / 1e6} MB. Take a part of it.`,
    );
  }
  const bytes = await file.arrayBuffer();
  try {
    return { name: file.name, text: new TextDecoder('utf-8', { fatal: true }).decode(bytes) };
  } catch {
    throw new Error(`${file.name} is no text in UTF-8. Save it as a text, or take another file.`);
  }
}

/** A place to drop files on, with a button that opens the file dialogue and one that takes a pasted text. */
export function dropZone(options: {
  readonly what: string;
  readonly accept: string;
  readonly multiple?: boolean;
  readonly files: (files: readonly File[]) => void;
  /** Left out: nothing can be pasted. */
  readonly pasted?: (text: string) => void;
}): HTMLElement {
  const input = on(
    h('input', {
      type: 'file',
      accept: options.accept,
      multiple: options.multiple,
      hidden: true,
      'aria-label': options.what,
    }),
    {
      change: () => {
        if (input.files?.length) options.files([...input.files]);
        input.value = '';
      },
    },
  );
  const zone = h(
    'div',
    { class: 'drop' },
    h('span', {}, `Drop ${options.what} here, or `),
    button('choose a file', () => input.click(), { class: 'quiet' }),
    input,
  );
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
      const files = [...(event.dataTransfer?.files ?? [])];
      if (files.length > 0) options.files(files);
    },
  });
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
