import * as v from 'valibot';
import type { ModelFiles } from '../../checkpoints/model_source.ts';
import { parseSafetensors, writeSafetensors } from '../../checkpoints/safetensors.ts';
import { shapeText } from '../../compute/program/region.ts';
import { XlstmError } from '../../errors.ts';
import { parseJson } from '../../json.ts';
import { modelFingerprint } from '../../nn/fingerprint.ts';
import { oneLine, quote } from '../../quote.ts';
import type { Forecaster } from '../forecaster.ts';
import { SeriesClassifier, type SeriesHead, SeriesRegressor } from './series_head.ts';

/** The files of a head: what it is, and its numbers. */
export const HEAD_JSON = 'head.json';
export const HEAD_WEIGHTS = 'head.safetensors';
export const HEAD_FILES = [HEAD_JSON, HEAD_WEIGHTS] as const;

const FORMAT = 'xlstm-head-1';

const share = v.pipe(v.number(), v.minValue(0), v.maxValue(1));
const whole = v.pipe(v.number(), v.safeInteger(), v.minValue(1));
const positive = v.pipe(v.number(), v.finite(), v.minValue(0));

const schema = v.strictObject({
  format: v.literal(FORMAT),
  model: v.string(),
  classes: v.optional(v.pipe(v.array(v.string()), v.minLength(2), v.maxLength(2 ** 16))),
  features: whole,
  facts: v.strictObject({
    measures: v.variant('kind', [
      v.strictObject({ kind: v.literal('classification'), accuracy: share, majority: share }),
      v.strictObject({ kind: v.literal('regression'), error: positive, errorOfMean: positive }),
    ]),
    examples: whole,
    folds: whole,
    penalty: positive,
    inputNames: v.optional(v.pipe(v.array(v.string()), v.minLength(1), v.maxLength(2 ** 12), v.readonly())),
    outputName: v.optional(v.string()),
  }),
});

/** The files of a head by name. */
export async function headFiles(head: SeriesHead): Promise<Map<string, Uint8Array>> {
  const { features, facts } = head;
  const { outputs, weights, bias } = head.map;
  const description: v.InferOutput<typeof schema> = {
    format: FORMAT,
    model: await modelFingerprint(head.forecaster.model),
    ...(head instanceof SeriesClassifier && { classes: [...head.classes] }),
    features,
    facts,
  };
  const tensors = new Map([
    ['weight', { shape: [outputs, features], data: weights }],
    ['bias', { shape: [outputs], data: bias }],
  ]);
  return new Map([
    [HEAD_JSON, new TextEncoder().encode(`${JSON.stringify(description, null, 2)}\n`)],
    [HEAD_WEIGHTS, writeSafetensors(tensors)],
  ]);
}

/** Throws a checkpoint error that names the file for what is damaged, and for the head of another model. */
export async function readHead(
  forecaster: Forecaster,
  files: ModelFiles,
): Promise<SeriesClassifier | SeriesRegressor> {
  const source = `${files.place}${HEAD_JSON}`;
  const json = parseJson(await files.read(HEAD_JSON), source, 'checkpoint');
  const parsed = v.safeParse(schema, json, { abortEarly: true });
  if (!parsed.success) {
    const [issue] = parsed.issues;
    throw new XlstmError(
      'checkpoint',
      `${source}: ${v.getDotPath(issue) ?? 'the file'}: expected a head (${FORMAT}): ${oneLine(issue.message)}`,
    );
  }
  const { model, classes, features, facts } = parsed.output;
  const isClassifier = facts.measures.kind === 'classification';
  if (isClassifier !== (classes !== undefined)) {
    throw new XlstmError(
      'checkpoint',
      `${source}: classes: expected of a classification alone, found ${classes ? 'some' : 'none'} of a ${facts.measures.kind}`,
    );
  }
  const fingerprint = await modelFingerprint(forecaster.model);
  if (model !== fingerprint) {
    throw new XlstmError(
      'checkpoint',
      `${source}: the head was trained on the embeddings of another model: expected fingerprint ${fingerprint}, found ${quote(model)}`,
      'Load it with the model that it was trained with, or train another one.',
    );
  }
  const outputs = classes?.length ?? 1;
  const tensors = await readTensors(files, { weight: [outputs, features], bias: [outputs] });
  const map = { outputs, weights: tensors.weight, bias: tensors.bias };
  return classes
    ? new SeriesClassifier(forecaster, map, facts, classes)
    : new SeriesRegressor(forecaster, map, facts);
}

async function readTensors<Name extends string>(
  files: ModelFiles,
  shapes: Readonly<Record<Name, readonly number[]>>,
): Promise<Record<Name, Float32Array>> {
  const source = `${files.place}${HEAD_WEIGHTS}`;
  const { tensors } = parseSafetensors(await files.read(HEAD_WEIGHTS), source);
  const read = (name: Name): Float32Array => {
    const tensor = tensors.get(name);
    if (tensor?.dtype !== 'F32' || shapeText(tensor.shape) !== shapeText(shapes[name])) {
      throw new XlstmError(
        'checkpoint',
        `${source}: ${quote(name)}: expected F32 of ${quote(shapes[name])}, as ${HEAD_JSON} says, found ${tensor ? `${tensor.dtype} of ${quote(tensor.shape)}` : 'none'}`,
      );
    }
    const values = tensor.read();
    const at = values.findIndex((value) => !Number.isFinite(value));
    if (at < 0) return values;
    throw new XlstmError(
      'checkpoint',
      `${source}: ${quote(name)}: position ${at}: expected a finite number, found ${values[at]}`,
    );
  };
  const names = Object.keys(shapes) as Name[];
  return Object.fromEntries(names.map((name) => [name, read(name)])) as Record<Name, Float32Array>;
}
