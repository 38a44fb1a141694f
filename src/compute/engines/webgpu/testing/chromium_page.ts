import type { KernelName } from '../../../program/kernels.ts';
import { Program, type Word } from '../../../program/program.ts';
import { Region } from '../../../program/region.ts';
import type { Executable, Memory } from '../../engine.ts';
import { createWebgpuEngine, type WebgpuEngine } from '../engine.ts';
import type { GivenProgram, GivenWord, Opened } from './chromium_engine.ts';

/**
 * The page's side of chromium_engine.ts: an engine whose memories and Programs are called by number. Numbers travel as
 * the bytes that they are, in base64.
 */

let engine: WebgpuEngine;
const memories = new Map<number, Memory>();
const programs = new Map<number, Executable>();

/** Bytes of any type are whole numbers here. */
const WORDS = 'words';

function layout(bytes: number): Region {
  const region = new Region(WORDS);
  region.add(WORDS, [Math.max(bytes / 4, 1)], 'i32');
  return region;
}

const decoded = (text: string): Int32Array =>
  new Int32Array(Uint8Array.from(atob(text), (character) => character.charCodeAt(0)).buffer);

function encoded(words: ArrayLike<number>): string {
  const bytes = new Uint8Array(Int32Array.from(words).buffer);
  let text = '';
  for (let at = 0; at < bytes.length; at += 8192)
    text += String.fromCharCode(...bytes.subarray(at, at + 8192));
  return btoa(text);
}

function memory(id: number): Memory {
  const found = memories.get(id);
  if (!found) throw new Error(`no memory ${id}`);
  return found;
}

function program(id: number): Executable {
  const found = programs.get(id);
  if (!found) throw new Error(`no program ${id}`);
  return found;
}

export async function open(): Promise<Opened> {
  engine = await createWebgpuEngine();
  return { limits: engine.limits, description: engine.description };
}

export function allocate(id: number, bytes: number): void {
  memories.set(id, engine.allocate(layout(bytes)));
}

export const write = (id: number, at: number, values: string): void =>
  memory(id).write(WORDS, decoded(values), at);

export const read = async (id: number, at: number, count: number): Promise<string> =>
  encoded(await memory(id).read(WORDS, at, count));

export const clear = (id: number): void => memory(id).clear();

export const copy = (id: number, source: number, from: number, count: number, at: number): void =>
  memory(id).copyFrom(memory(source), { name: WORDS, from, count, at });

export function free(id: number): void {
  memory(id).free();
  memories.delete(id);
}

/** `io` is the number that its memory gets. */
export function bind(
  id: number,
  io: number,
  { name, instructions, regions, workBytes, ioBytes }: GivenProgram,
): void {
  const [work, own] = [layout(workBytes), layout(ioBytes)];
  const bound = regions.map((region) => memory(region));
  const places = [work, own, ...bound.map(({ region }) => region)];
  const wordOf = (word: GivenWord): Word =>
    typeof word === 'number' ? word : { region: places[word[0]], offset: word[1], bytes: word[2], label: '' };
  const calls = instructions.map(([kernel, words]) => ({
    kernel: kernel as KernelName,
    words: words.map(wordOf),
  }));
  const executable = engine.bind(new Program(name, calls, work, own, []), bound);
  programs.set(id, executable);
  memories.set(io, executable.io);
}

export const run = async (id: number): Promise<void> => program(id).run();

export const profile = async (id: number): Promise<number[]> => [...(await program(id).profile())];

export function freeProgram(id: number): void {
  program(id).free();
  programs.delete(id);
}

export const close = (): Promise<void> => engine.close();
