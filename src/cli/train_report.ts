import { join } from 'node:path';
import { firstTokens } from '../data/token_source.ts';
import { formatCount, formatDuration } from '../format.ts';
import { Session } from '../generation/session.ts';
import type { Model } from '../nn/model.ts';
import type { Run } from '../training/run.ts';
import { BEST } from '../training/run_folder.ts';
import type { RunResult } from '../training/train_run.ts';
import type { TrainOptions } from './new_run.ts';

/** What a run is, before it begins. */
export function announce({ model, options, train, validation, measuredTokens, trainer, folder }: Run): void {
  const { steps, batchSize, microBatches, length, precision } = options;
  const heldOut = validation.length === 0 ? 'none' : formatCount(validation.length);
  const part =
    measuredTokens === validation.length
      ? ''
      : measuredTokens === 0
        ? ', not measured'
        : `, ${formatCount(measuredTokens)} of them measured`;
  const from = trainer.steps > 0 ? ` from step ${trainer.steps} on` : '';
  const lines = [
    `model   ${formatCount(model.parameters.count)} parameters: ${model.design?.describe().summary}`,
    ...adapterLines(model),
    `text    ${formatCount(train.length)} tokens to train on, ${heldOut} held out${part}`,
    `run     ${steps} steps of ${batchSize * microBatches} × ${length} tokens${from}${precision === 'bf16' ? ', products in bf16' : ''}, into ${folder}/`,
  ];
  process.stderr.write(`${lines.join('\n')}\n`);
}

function adapterLines({ design, parameters }: Model): string[] {
  if (!design?.adapter) return [];
  const trained = parameters.added.reduce((sum, { shape }) => sum + shape[0] * shape[1], 0);
  const { rank, base } = design.adapter;
  return [
    `adapter ${formatCount(trained)} of them are trained: rank ${rank} beside ${parameters.adapted.length} matrices of ${base}`,
  ];
}

/** The first tokens of what is held out, or of the other text where nothing is, and what they stand for without the special ones. */
function beginning(
  { tokenizer, validation, train }: Run,
  count: number,
): { readonly tokens: Int32Array; readonly text: string } {
  const tokens = firstTokens(validation.length > 0 ? validation : train, count);
  const specials = new Set(tokenizer.specials.values());
  return { tokens, text: tokenizer.decode(tokens.filter((token) => !specials.has(token))) };
}

/** Enough of a text to know how many bytes a token of it has. */
const SAMPLED_TOKENS = 2 ** 20;

/** Tokens for each byte of text they stand for, of what is held out: turns nats per token into nats per byte. */
export function measureTokens(run: Run): number {
  const { tokens, text } = beginning(run, SAMPLED_TOKENS);
  return tokens.length / new TextEncoder().encode(text).length;
}

/** What became of a run, with a sample of what it writes. */
export async function report(
  run: Run,
  result: RunResult,
  tokensPerByte: number,
  options: Pick<TrainOptions, 'sample' | 'json'> & { readonly prompt: string },
): Promise<void> {
  const { model, folder } = run;
  if (result.interrupted) {
    const next =
      result.steps < run.options.steps
        ? `go on with: xlstm train --resume ${folder}`
        : `the model is in ${folder}/, the held-out text was not measured`;
    process.stderr.write(`stopped after step ${result.steps}; ${next}\n`);
    return;
  }
  const perByte = (loss: number | undefined): number | null =>
    loss === undefined ? null : loss * tokensPerByte;
  const validationLoss = perByte(result.validationLoss);
  const best = result.best && {
    folder: join(folder, BEST),
    step: result.best.step,
    validationLoss: perByte(result.best.validationLoss),
  };
  const sample = options.sample > 0 && options.prompt !== '' ? await writeSample(run, options) : null;
  const { steps, trainingSeconds } = result;
  if (options.json) {
    const facts = {
      folder,
      steps,
      trainingSeconds,
      validationLoss,
      bitsPerByte: validationLoss === null ? null : validationLoss / Math.LN2,
      best: best ?? null,
      parameters: model.parameters.count,
      engine: model.engine.description,
      sample,
    };
    process.stdout.write(`${JSON.stringify(facts)}\n`);
    return;
  }
  process.stdout.write(`${steps} steps in ${formatDuration(trainingSeconds)}; the model is in ${folder}/\n`);
  if (validationLoss !== null) process.stdout.write(`validation loss ${inNats(validationLoss)}\n`);
  if (best?.validationLoss && best.step !== steps) {
    process.stdout.write(
      `best at step ${best.step}: ${inNats(best.validationLoss)}; that model is in ${best.folder}/\n`,
    );
  }
  if (sample) {
    const shown = PLAIN.test(options.prompt) ? options.prompt : '…';
    process.stdout.write(`\n${sample}\n\nmore: npx xlstm generate ${folder} --prompt "${shown}"\n`);
  }
}

const inNats = (loss: number): string =>
  `${loss.toFixed(4)} nats per byte (${(loss / Math.LN2).toFixed(3)} bits per byte)`;

/** Enough of a text to have some words. */
const WORDS_TOKENS = 2000;
const FIRST_WORDS = /\s([\p{L}\p{N},.;:'-]+(?:[ \t]+[\p{L}\p{N},.;:'-]+){1,3})\s/u;
/** Nothing that a shell reads as more than text. */
const PLAIN = /^[\p{L}\p{N} ,.;:'!?-]+$/u;

/**
 * What a sample continues where nobody says what: some words of a text like those that the model was trained on. Nothing
 * where its first tokens stand for no text.
 */
export function firstWords(run: Run): string {
  const { text } = beginning(run, WORDS_TOKENS);
  // A cut may be in the middle of a word, or of a character.
  return FIRST_WORDS.exec(text)?.[1] ?? text.replace(/^\uFFFD+/u, '').slice(0, 16);
}

async function writeSample(
  { model, tokenizer, options: { seed } }: Run,
  { prompt, sample }: { readonly prompt: string; readonly sample: number },
): Promise<string> {
  const session = new Session(model, tokenizer);
  await session.append(prompt);
  let text = prompt;
  for await (const piece of session.generate({ maxTokens: sample, temperature: 0.8, topP: 0.95, seed }))
    text += piece;
  return text;
}
