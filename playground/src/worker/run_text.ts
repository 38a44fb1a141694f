import type { Tokenizer } from 'xlstm';
import { refusal } from './refusal.ts';
import type { DataMark, TextSource } from './run_notes.ts';

/** A text that a person gave, or that comes with the page. */
export interface RunText {
  readonly name: string;
  readonly text: string;
  /** Its name in the library, of one that comes with it. */
  readonly corpus?: string;
  /** Where the part begins that is held out. Left out: a tenth is, from the end of a line on. */
  readonly heldFrom?: number;
}

/** A text as the tokens to train on and those to measure on. */
export interface CutText {
  readonly train: Int32Array;
  readonly held: Int32Array;
  /** What is used of it, in words. */
  readonly used: string;
  readonly text: string;
}

/** Twice as many bytes, and with tokens and batches more, is what a page can count on. */
const MOST_CHARACTERS = 16e6;
const LEAST_TOKENS = 200;
const HELD_OUT = 0.1;

/** Cuts it as the command line does, so that either goes on where the other stood. */
export function cutText({ name, text: whole, heldFrom }: RunText, tokenizer: Tokenizer): CutText {
  const text = whole.slice(0, MOST_CHARACTERS);
  const cut = heldFrom ?? endOfTraining(text);
  const train = tokenizer.encode(text.slice(0, cut));
  const held = tokenizer.encode(text.slice(cut));
  if (train.length + held.length < LEAST_TOKENS) {
    throw refusal(
      `${name}: expected at least ${LEAST_TOKENS} tokens to learn from, found ${train.length + held.length}.`,
      'A page of text is a beginning; a book is better.',
    );
  }
  const part = text.length < whole.length ? `the first ${text.length / 1e6} million characters of ` : '';
  return { train, held, text, used: `${part}${name}` };
}

/** A tenth before the end, at the end of a line where there is one near. */
function endOfTraining(text: string): number {
  const wanted = Math.floor(text.length * HELD_OUT);
  const cut = text.length - wanted;
  const line = text.indexOf('\n', cut) + 1;
  const at = line > 0 && line - cut < wanted / 2 ? line : cut;
  // Not between the two halves of a character outside the basic plane.
  return at + (/[\udc00-\udfff]/.test(text[at] ?? '') ? 1 : 0);
}

/** As the command line tells texts from others. Undefined where the page was not fetched over HTTPS or from this machine. */
export async function markOf({ train, held }: CutText): Promise<DataMark | undefined> {
  if (!crypto.subtle) return undefined;
  const joined = new Int32Array(1 + train.length + held.length);
  // The place of the cut is part of it.
  joined[0] = train.length;
  joined.set(train, 1);
  joined.set(held, 1 + train.length);
  const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', joined));
  const sha256 = Array.from(digest, (byte) => byte.toString(16).padStart(2, '0')).join('');
  return { tokens: train.length + held.length, sha256 };
}

/** Of a text that lies beside the run, or that comes with the library. */
export const sourceOf = ({ name, corpus }: RunText): TextSource =>
  corpus === undefined
    ? { data: ['text.txt'], corpus: '', validationShare: HELD_OUT, name }
    : { data: null, corpus };
