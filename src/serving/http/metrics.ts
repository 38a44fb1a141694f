import type { Histogram } from '../histogram.ts';
import type { ServedModel } from './served_model.ts';
import type { ServedSessions } from './served_sessions.ts';

/** Paths that are counted by name; others are one, so that a client cannot make names. */
const PATHS = [
  '/health',
  '/ready',
  '/metrics',
  '/openapi.json',
  '/v1/models',
  '/v1/completions',
  '/v1/chat/completions',
  '/v1/embeddings',
  '/v1/forecasts',
  '/v1/sessions',
];

/** What a server has done and does, as Prometheus reads it. */
export class Metrics {
  readonly #models: readonly ServedModel[];
  readonly #sessions: ServedSessions;
  readonly #requests = new Map<string, number>();

  constructor(models: readonly ServedModel[], sessions: ServedSessions) {
    this.#models = models;
    this.#sessions = sessions;
  }

  request(path: string, status: number): void {
    const known = path.startsWith('/v1/sessions/') ? '/v1/sessions' : path;
    const labels = `path="${PATHS.includes(known) ? known : 'other'}",status="${status}"`;
    this.#requests.set(labels, (this.#requests.get(labels) ?? 0) + 1);
  }

  text(): string {
    const lines = [
      ...described('xlstm_requests_total', 'counter', 'Requests by path and status.'),
      ...[...this.#requests].map(([labels, count]) => `xlstm_requests_total{${labels}} ${count}`),
    ];
    for (const [key, type, name, help] of OF_MODELS) {
      lines.push(...described(name, type, help));
      for (const model of this.#models)
        lines.push(`${name}{model=${JSON.stringify(model.name)}} ${model.batcher.status[key]}`);
    }
    lines.push(
      ...described('xlstm_sessions_busy', 'gauge', 'Sessions in which a text is being written.'),
      `xlstm_sessions_busy ${this.#sessions.busy}`,
    );
    for (const [key, name, help] of TIMES) {
      lines.push(...described(name, 'histogram', help));
      for (const model of this.#models) lines.push(...histogram(name, model, model.batcher.times[key]));
    }
    return `${lines.join('\n')}\n`;
  }
}

function histogram(name: string, model: ServedModel, { buckets, count, seconds }: Histogram): string[] {
  const label = `model=${JSON.stringify(model.name)}`;
  return [
    ...buckets.map((bucket) => `${name}_bucket{${label},le="${bucket.seconds}"} ${bucket.count}`),
    `${name}_bucket{${label},le="+Inf"} ${count}`,
    `${name}_sum{${label}} ${seconds}`,
    `${name}_count{${label}} ${count}`,
  ];
}

const TIMES = [
  ['toFirstToken', 'xlstm_time_to_first_token_seconds', 'From a request to its first token.'],
  ['betweenTokens', 'xlstm_time_between_tokens_seconds', 'From a token to the next of its text.'],
] as const;

const OF_MODELS = [
  ['promptTokens', 'counter', 'xlstm_prompt_tokens_total', 'Tokens of prompts that were read.'],
  ['completionTokens', 'counter', 'xlstm_completion_tokens_total', 'Tokens that were chosen.'],
  ['cachedTokens', 'counter', 'xlstm_cached_tokens_total', 'Tokens of prompts whose state was there.'],
  ['cachedBytes', 'gauge', 'xlstm_prompt_cache_bytes', 'Of the states that are kept of prompts.'],
  ['steps', 'counter', 'xlstm_steps_total', 'Steps, each a token for all texts of a group.'],
  ['slots', 'gauge', 'xlstm_slots', 'Texts that can be written at a time.'],
  ['reading', 'gauge', 'xlstm_reading', 'Texts whose prompts are being read.'],
  ['writing', 'gauge', 'xlstm_writing', 'Texts that are being written: the size of the batch.'],
  ['waiting', 'gauge', 'xlstm_waiting', 'Texts that wait for a slot.'],
] as const;

const described = (name: string, type: string, help: string): string[] => [
  `# HELP ${name} ${help}`,
  `# TYPE ${name} ${type}`,
];
