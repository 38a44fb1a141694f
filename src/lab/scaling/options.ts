import * as v from 'valibot';
import type { SettingsSchema } from '../cells/settings.ts';
import type { StudySettings } from './cell.ts';
import { type StudyModelName, studyModelNames } from './models.ts';

export interface StudyOptions {
  readonly models: readonly StudyModelName[];
  /** Parameters beside the embedding and the output matrix. */
  readonly sizes: readonly number[];
  /** Training tokens for each of them. */
  readonly tokensPerParameter: readonly number[];
  /** More tokens for each parameter, at small sizes alone. */
  readonly moreTokensPerParameter: readonly number[];
  /** Tokens of a training sequence. The learning rates are found with the first. */
  readonly contexts: readonly number[];
  /** Runs of each small cell with the first context. */
  readonly seeds: number;
  /** Learning rates that the sweep begins with, ascending, each as many times the one before. */
  readonly rates: readonly number[];
  /** Wall-clock time for the whole study: a cell that no longer fits is not started. */
  readonly minutes: number;
  readonly quick: boolean;
  /** Tokens of the vocabulary. */
  readonly vocabSize: number;
  /** Text files; absent: the State of the Union addresses. */
  readonly data?: readonly string[];
  /** What computes, in words. */
  readonly engine: string;
}

/** Up to so many parameters a size is small: more tokens for each, and several seeds. */
export const SMALL = 100_000;

/** The sweep is over so many of the sizes, the smallest. */
export const SWEEP_SIZES = 2;

type Preset = Omit<StudyOptions, 'engine' | 'data'>;

export const QUICK_STUDY: Preset = {
  models: studyModelNames,
  sizes: [30_000, 60_000, 100_000],
  tokensPerParameter: [10, 20],
  moreTokensPerParameter: [],
  contexts: [256],
  seeds: 1,
  rates: [1.2e-2, 3.6e-2, 0.108],
  minutes: 15,
  quick: true,
  vocabSize: 1024,
};

export const FULL_STUDY: Preset = {
  models: studyModelNames,
  sizes: [30_000, 100_000, 300_000, 1_000_000, 3_000_000],
  tokensPerParameter: [20, 60],
  moreTokensPerParameter: [200],
  contexts: [256, 1024],
  seeds: 3,
  rates: [2e-3, 4e-3, 8e-3, 1.6e-2, 3.2e-2],
  minutes: 600,
  quick: false,
  vocabSize: 1024,
};

/** What is measured, and how large a step is. */
export const studySettings = ({ quick }: Pick<StudyOptions, 'quick'>): StudySettings => ({
  tokensPerStep: 2048,
  validationTokens: quick ? 32_768 : 131_072,
  longSequences: quick ? 4 : 16,
  distances: quick ? [16, 64, 256, 1024] : [16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192],
  costLengths: quick ? [128, 512, 2048] : [128, 512, 2048, 8192],
});

/** What all cells of a folder have in common: results of others would not stand side by side. */
export const STUDY_COMMON = ['quick', 'vocabSize', 'data', 'engine', 'digest', 'settings'] as const;
/** Of folders that are merged: machines may have different engines. */
export const MERGED_COMMON = ['quick', 'vocabSize', 'digest', 'settings'] as const;

/** What `settings.json` holds. */
export interface KeptSettings extends StudyOptions {
  readonly study: 'scaling';
  /** Of the texts as tokens. */
  readonly digest: string;
  readonly settings: StudySettings;
}

const whole = v.pipe(v.number(), v.safeInteger(), v.minValue(1));
const positive = v.pipe(v.number(), v.finite(), v.gtValue(0));
const some = <T>(item: v.GenericSchema<unknown, T>) =>
  v.pipe(v.array(item), v.minLength(1), v.maxLength(100));

/** `settings.json` of foreign origin: every part that is read. */
export const keptSettings: SettingsSchema<KeptSettings> = v.object({
  study: v.literal('scaling'),
  digest: v.string(),
  models: some(v.picklist(studyModelNames)),
  sizes: some(positive),
  tokensPerParameter: some(positive),
  moreTokensPerParameter: v.pipe(v.array(positive), v.maxLength(100)),
  contexts: some(whole),
  seeds: v.pipe(whole, v.maxValue(1000)),
  rates: some(positive),
  minutes: positive,
  quick: v.boolean(),
  vocabSize: whole,
  data: v.exactOptional(v.array(v.string())),
  engine: v.string(),
  settings: v.object({
    tokensPerStep: whole,
    validationTokens: whole,
    longSequences: whole,
    distances: some(whole),
    costLengths: some(whole),
  }),
});
