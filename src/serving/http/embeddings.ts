import type { Values } from '../../compute/engines/engine.ts';
import type { Answering } from './answering.ts';
import { Failure } from './failure.ts';
import type { EmbeddingRequest } from './requests.ts';
import { busy, checkPrompt, completionPrompts, type ServedModel } from './served_model.ts';

/** Numbers of an answer: a state may have millions. */
const MOST_NUMBERS = 2 ** 22;

/** Vectors of texts, in order. */
export async function embeddings(
  raw: Request,
  model: ServedModel,
  request: EmbeddingRequest,
  answering: Answering,
): Promise<object> {
  answering.checkOpen();
  const { embedder, embeddings } = model;
  const { of: kind, encoding_format } = request;
  const prompts = completionPrompts(model, request.input);
  for (const prompt of prompts) checkPrompt(model, prompt, 'input');
  if (kind === 'state' && prompts.length * embedder.stateNumbers > MOST_NUMBERS) {
    throw new Failure(
      400,
      `a state has ${embedder.stateNumbers} numbers: expected fewer texts, of ${MOST_NUMBERS} numbers together at most`,
      { param: 'input' },
    );
  }
  if (embeddings.full) throw busy();
  const signal = answering.signal(raw);
  const vectors: Values[] = await embeddings.run(async () => {
    const made: Values[] = [];
    for (const prompt of prompts) made.push(await embedder.embed(prompt, kind, signal));
    return made;
  }, signal);
  const tokens = prompts.reduce((sum, { length }) => sum + length, 0);
  return {
    object: 'list',
    model: model.name,
    of: kind,
    data: vectors.map((vector, index) => ({
      object: 'embedding',
      index,
      embedding: encoding_format === 'base64' ? base64(vector) : Array.from(vector),
    })),
    usage: { prompt_tokens: tokens, total_tokens: tokens },
  };
}

/** The numbers as float32, little end first. */
function base64(vector: Values): string {
  const bytes = new Uint8Array(4 * vector.length);
  const view = new DataView(bytes.buffer);
  vector.forEach((value, i) => {
    view.setFloat32(4 * i, value, true);
  });
  let binary = '';
  for (let at = 0; at < bytes.length; at += 8192) {
    binary += String.fromCharCode(...bytes.subarray(at, at + 8192));
  }
  return btoa(binary);
}
