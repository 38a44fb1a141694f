import { bytesOf } from '../../program/dtypes.ts';
import type { Region } from '../../program/region.ts';
import type { Draft, DraftOptions } from '../engine.ts';
import type { Pipelines } from './pipelines.ts';
import { type GpuStorage, usage } from './storage.ts';
import { workgroupSums } from './workgroup_sums.ts';

const SLOT = bytesOf('f32');
/** Words of one draw, and the multiple at which uniform bindings begin. */
const WORDS = 8;
const STRIDE = 256;
const LANES = 256;
/** A weight is at most 1: bits of float32 that are not negative are in the order of the numbers. */
const WEIGHT_BITS = 30;

/**
 * Draws one token as a Sampler does (src/generation/sampling.ts), in float32: in the order of ids, or with top-p in that of
 * the weights. A weight is found by its bits, from the highest on, by sums of those above and below.
 */
const drawShader = `@group(0) @binding(0) var<uniform> words: array<vec4u, ${WORDS / 4}>;
@group(0) @binding(1) var<storage, read_write> results: array<f32>;
var<workgroup> sums: array<f32, ${LANES}>;
${workgroupSums(LANES, 1, false)}
fn logit(id: u32) -> f32 { return results[words[0].x + id]; }
fn weight(id: u32, best: f32) -> f32 {
  let value = exp((logit(id) - best) / bitcast<f32>(words[1].x));
  return select(0.0, value, value >= bitcast<f32>(words[1].z));
}
fn between(lane: u32, best: f32, low: u32, end: u32) -> f32 {
  var sum = 0.0;
  for (var id = lane; id < words[0].y; id += ${LANES}u) {
    let value = weight(id, best);
    let bits = bitcast<u32>(value);
    sum += select(0.0, value, bits >= low && bits < end);
  }
  return total(lane, sum);
}
@compute @workgroup_size(${LANES})
fn main(@builtin(local_invocation_index) lane: u32) {
  let count = words[0].y;
  let top_p = bitcast<f32>(words[1].y);
  let uniform_number = bitcast<f32>(words[1].w);
  var high = -3.4028234e38f;
  for (var id = lane; id < count; id += ${LANES}u) { high = max(high, logit(id)); }
  let best = largest(lane, high);
  var likeliest = -f32(count);
  for (var id = lane; id < count; id += ${LANES}u) {
    if (logit(id) == best) { likeliest = max(likeliest, -f32(id)); }
  }
  var found = -1.0;
  if (bitcast<f32>(words[1].x) > 0.0) {
    if (top_p < 1.0) {
      let all = 1u << ${WEIGHT_BITS}u;
      var everything = 0.0;
      for (var id = lane; id < count; id += ${LANES}u) {
        everything += exp((logit(id) - best) / bitcast<f32>(words[1].x));
      }
      let enough = top_p * total(lane, everything);
      var low = 0u;
      for (var bit = 0u; bit < ${WEIGHT_BITS}u; bit++) {
        let tried = low | (1u << (${WEIGHT_BITS - 1}u - bit));
        low = select(low, tried, between(lane, best, tried, all) >= enough);
      }
      low = max(low, 1u);
      let rest = uniform_number * between(lane, best, low, all);
      var bits = 0u;
      for (var bit = 0u; bit < ${WEIGHT_BITS}u; bit++) {
        let tried = bits | (1u << (${WEIGHT_BITS - 1}u - bit));
        bits = select(bits, tried, between(lane, best, low, tried) <= rest);
      }
      for (var id = lane; id < count; id += ${LANES}u) {
        if (bitcast<u32>(weight(id, best)) == bits) { found = max(found, f32(id)); }
      }
    } else {
      let share = (count + ${LANES - 1}u) / ${LANES}u;
      let first = min(lane * share, count);
      let last = min(first + share, count);
      var sum = 0.0;
      for (var id = first; id < last; id++) { sum += weight(id, best); }
      sums[lane] = sum;
      workgroupBarrier();
      var before = 0.0;
      var everything = 0.0;
      for (var other = 0u; other < ${LANES}u; other++) {
        if (other == lane) { before = everything; }
        everything += sums[other];
      }
      var rest = uniform_number * everything - before;
      if (rest >= 0.0 && rest < sum) {
        for (var id = first; id < last && found < 0.0; id++) {
          rest -= weight(id, best);
          if (rest < 0.0) { found = f32(id); }
        }
      }
    }
  }
  let chosen = largest(lane, found);
  let fallback = -largest(lane, likeliest);
  if (lane == 0u) {
    results[words[0].z] = min(select(fallback, chosen, chosen >= 0.0), f32(count - 1u));
  }
}
`;

/** Steps of a Program whose tokens are drawn where its logits are: nothing is read back before the last of them. */
export class Drafts {
  readonly #device: GPUDevice;
  readonly #pipelines: Pipelines;
  readonly #compiled: Promise<GPUComputePipeline>;
  #words: GPUBuffer | undefined;
  /** The drawn tokens, then the logits of each step. */
  #results: GPUBuffer | undefined;

  constructor(device: GPUDevice, pipelines: Pipelines) {
    this.#device = device;
    this.#pipelines = pipelines;
    this.#compiled = pipelines.compile('draw', drawShader, 1);
    this.#compiled.catch(() => {}); // whoever drafts hears of it
  }

  get compiled(): Promise<unknown> {
    return this.#compiled;
  }

  /** Submits all steps at once; `step` records one run of the Program. Returns how to read what came of them. */
  async submit(
    region: Region,
    io: GpuStorage,
    { input, output, vocabSize, temperature, topP, minP, uniforms }: DraftOptions,
    step: (commands: GPUCommandEncoder) => void,
  ): Promise<() => Promise<Draft>> {
    const device = this.#device;
    const pipeline = await this.#compiled;
    const steps = uniforms.length + 1;
    const logits = region.get(output);
    const row = logits.shape.reduce((a, b) => a * b, 1);
    const words = new Uint32Array((STRIDE / SLOT) * steps);
    const numbers = new Float32Array(words.buffer);
    for (const [i, uniform] of uniforms.entries()) {
      const at = (STRIDE / SLOT) * i;
      words.set([steps + i * row, vocabSize, i], at);
      numbers.set([temperature, topP, minP, uniform], at + 4);
    }
    const wordsBuffer = this.#wordsOf(words.byteLength);
    device.queue.writeBuffer(wordsBuffer, 0, words);
    const results = this.#resultsOf(SLOT * steps * (1 + row));
    const commands = device.createCommandEncoder();
    for (let i = 0; i < steps; i++) {
      step(commands);
      io.copyOut(commands, logits.offset, SLOT * row, results, SLOT * (steps + i * row));
      if (i === uniforms.length) break;
      const pass = commands.beginComputePass();
      pass.setPipeline(pipeline);
      pass.setBindGroup(
        0,
        device.createBindGroup({
          layout: this.#pipelines.layout(1),
          entries: [
            { binding: 0, resource: { buffer: wordsBuffer, offset: STRIDE * i, size: SLOT * WORDS } },
            { binding: 1, resource: { buffer: results } },
          ],
        }),
      );
      pass.dispatchWorkgroups(1);
      pass.end();
      io.copyIn(commands, region.get(input).offset, SLOT, results, SLOT * i);
    }
    const size = SLOT * steps * (1 + row);
    const staging = device.createBuffer({ size, usage: usage.mapRead | usage.copyTarget });
    commands.copyBufferToBuffer(results, 0, staging, 0, size);
    device.queue.submit([commands.finish()]);
    return async () => {
      try {
        await staging.mapAsync(usage.mapRead);
        const found = new Float32Array(staging.getMappedRange().slice(0));
        return {
          tokens: [...found.subarray(0, steps - 1)],
          logits: Array.from({ length: steps }, (_, i) =>
            found.subarray(steps + i * row, steps + (i + 1) * row),
          ),
        };
      } finally {
        staging.destroy();
      }
    };
  }

  release(): void {
    this.#words?.destroy();
    this.#results?.destroy();
  }

  #wordsOf(size: number): GPUBuffer {
    if (this.#words && this.#words.size >= size) return this.#words;
    this.#words?.destroy();
    this.#words = this.#device.createBuffer({
      label: 'words of draws',
      size,
      usage: usage.uniform | usage.copyTarget,
    });
    return this.#words;
  }

  #resultsOf(size: number): GPUBuffer {
    if (this.#results && this.#results.size >= size) return this.#results;
    this.#results?.destroy();
    this.#results = this.#device.createBuffer({
      label: 'results of drafts',
      size,
      usage: usage.storage | usage.copySource | usage.copyTarget,
    });
    return this.#results;
  }
}
