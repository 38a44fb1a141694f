import { spawn } from 'node:child_process';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import type { Engine } from '../../compute/engines/engine.ts';
import { type Precision, precisions } from '../../compute/graph/plan.ts';
import type { KernelName } from '../../compute/program/kernels.ts';
import { lacksKernel } from '../../compute/program/limits.ts';
import { XlstmError } from '../../errors.ts';
import { benchGemm } from './gemm.ts';
import { benchDecode, benchPrefill, type DecodeOptions } from './generate.ts';
import { benchSequences } from './sequences.ts';
import type { Spread } from './statistics.ts';
import { type ModelReport, type ModelShape, type ReportHead, reportHead } from './subject.ts';
import { benchTrain, type TrainOptions } from './train.ts';

export interface PeersOptions {
  readonly batch: number;
  readonly length: number;
  /** Training steps of one measurement. */
  readonly steps: number;
  /** Tokens decoded in one measurement. */
  readonly tokens: number;
  readonly repeats: number;
  /** The Python that has the peers written in it. */
  readonly python: string;
}

/** One figure of a peer beside ours. */
export interface Comparison {
  readonly figure: string;
  readonly unit: 'tokensPerSecond' | 'gflops';
  readonly peer: string;
  readonly peerThreads: number;
  readonly theirs: Spread;
  readonly ours: Spread;
  /** Ours over theirs, of the medians. */
  readonly ratio: number;
}

export interface MissingPeer {
  readonly figure: string;
  readonly peer: string;
  readonly install: string;
}

export interface PeersReport extends ReportHead, Pick<ModelReport, 'model'>, Omit<PeersOptions, 'repeats'> {
  readonly comparisons: readonly Comparison[];
  readonly missing: readonly MissingPeer[];
}

/** A script in bench/peers that measures something we measure too. */
interface Peer {
  readonly figure: string;
  readonly unit: Comparison['unit'];
  readonly name: string;
  readonly install: string;
  readonly script: string;
  /** What it imports. */
  readonly modules: readonly string[];
  readonly args: readonly (string | number)[];
  ours(): Promise<Spread>;
}

const folder = new URL('../../../bench/peers/', import.meta.url);

/** An xLSTM Large, which `transformers` has: some seconds a step there. */
const LARGE = {
  architecture: 'xlstm-large',
  blocks: 6,
  dim: 512,
  heads: 4,
  slstmAt: [],
  vocab: 256,
} as const;

const LARGE_TRAINING = { batch: 4, length: 256, steps: 1 } as const;
const LARGE_CONTEXT = 1024;

/** Of what the arena compares with, those that PyTorch has layers for. */
const BASELINES = ['lstm', 'gru', 'transformer'] as const;
const BASELINE_BLOCKS = 2;

/** Sequences of numbers; in plain JavaScript, which takes minutes at the length of the others, shorter ones. */
const NUMBERS = { inputs: 64, dim: 128, depth: 2, batch: 32, length: 128 } as const;
const SHORT = { ...NUMBERS, length: 32 } as const;

export async function benchPeers(
  engine: Engine,
  shape: ModelShape,
  options: PeersOptions,
): Promise<PeersReport> {
  const comparisons: Comparison[] = [];
  const missing: MissingPeer[] = [];
  for (const peer of peersFor(engine, shape, options)) {
    const { figure, unit, name, install } = peer;
    if (!(await isInstalled(peer, options.python))) {
      missing.push({ figure, peer: name, install });
      continue;
    }
    const ours = await peer.ours();
    const report = await runPeer(peer, options.python);
    const theirs = report[unit] as Spread;
    comparisons.push({
      figure,
      unit,
      peer: String(report.peer),
      peerThreads: Number(report.threads),
      theirs,
      ours,
      ratio: ours.median / theirs.median,
    });
  }
  const { repeats, ...rest } = options;
  return { ...reportHead('peers', engine, repeats), model: shape, ...rest, comparisons, missing };
}

function peersFor(engine: Engine, shape: ModelShape, options: PeersOptions): readonly Peer[] {
  const { batch, length, steps, tokens, repeats } = options;
  const { blocks, slstmAt } = shape;
  const listed = slstmAt === 'all' ? Array.from({ length: blocks }, (_, i) => i) : slstmAt;
  const threads = [...new Set([1, engine.threads])].join(',');
  const official = {
    unit: 'tokensPerSecond',
    name: 'xlstm on PyTorch',
    install: 'pip install torch xlstm',
    script: 'xlstm_pytorch.py',
    modules: ['torch', 'xlstm'],
  } as const;
  const officialArgs = [
    ...modelArgs(shape),
    '--slstm-at',
    listed.join(','),
    '--threads',
    threads,
    '--repeats',
    repeats,
  ];
  const large = {
    unit: 'tokensPerSecond',
    name: 'xLSTM Large in transformers',
    install: 'pip install torch transformers',
    script: 'transformers_large.py',
    modules: ['torch', 'transformers'],
  } as const;
  // Compiled it is six times slower: lengths and states recompile it.
  const largeArgs = [
    ...modelArgs(LARGE),
    '--modes',
    'eager,bf16',
    '--threads',
    threads,
    '--repeats',
    repeats,
  ];
  const peers: Peer[] = [
    {
      ...large,
      figure: `${largeText} training`,
      args: ['train', ...largeArgs, ...trainingArgs(LARGE_TRAINING)],
      ours: () => bestTraining(engine, LARGE, { ...LARGE_TRAINING, repeats }),
    },
    {
      ...large,
      figure: `${largeText} prefill of ${LARGE_CONTEXT}`,
      args: ['prefill', ...largeArgs, '--length', LARGE_CONTEXT, '--steps', steps],
      ours: () =>
        best(engine, 'panelLinear', (precision) =>
          benchPrefill(engine, LARGE, { length: LARGE_CONTEXT, repeats, precision }),
        ),
    },
    {
      ...large,
      figure: `${largeText} decoding`,
      args: ['decode', ...largeArgs, '--tokens', tokens],
      ours: () => bestDecoding(engine, LARGE, { tokens, repeats }),
    },
    {
      ...official,
      figure: 'xLSTM training',
      args: ['train', ...officialArgs, ...trainingArgs(options)],
      ours: () => bestTraining(engine, shape, { batch, length, steps, repeats }),
    },
    {
      ...official,
      figure: 'xLSTM decoding',
      args: ['decode', ...officialArgs, '--tokens', tokens],
      ours: () => bestDecoding(engine, shape, { tokens, repeats }),
    },
    ...['lstm', 'xLSTM[1:1]'].map(
      (blocks): Peer => ({
        unit: 'tokensPerSecond',
        name: 'LSTM on PyTorch',
        install: 'pip install torch',
        script: 'torch_lstm.py',
        modules: ['torch'],
        figure: `${blocks} on numbers, ${NUMBERS.batch} × ${NUMBERS.length}`,
        args: [...lstmArgs(NUMBERS), '--threads', threads, '--steps', steps, '--repeats', repeats],
        ours: () => benchSequences(engine, { blocks, ...NUMBERS }, { steps, repeats }),
      }),
    ),
    ...BASELINES.map((architecture): Peer => {
      const model = { ...shape, architecture, blocks: BASELINE_BLOCKS, slstmAt: [] };
      return {
        unit: 'tokensPerSecond',
        name: `${architecture} on PyTorch`,
        install: 'pip install torch',
        script: 'torch_baselines.py',
        modules: ['torch'],
        figure: `${architecture} training`,
        args: [
          ...['train', '--model', architecture, ...modelArgs(model), ...trainingArgs(options)],
          ...['--threads', threads, '--repeats', repeats],
        ],
        ours: () => bestTraining(engine, model, { batch, length, steps, repeats }),
      };
    }),
    {
      unit: 'tokensPerSecond',
      name: 'LSTM in @tensorflow/tfjs',
      install: `npm install --prefix ${fileURLToPath(folder)} @tensorflow/tfjs`,
      script: 'tfjs_lstm.js',
      modules: ['@tensorflow/tfjs'],
      figure: `lstm on numbers, ${SHORT.batch} × ${SHORT.length}`,
      args: [...lstmArgs(SHORT), '--repeats', repeats],
      ours: () => benchSequences(engine, { blocks: 'lstm', ...SHORT }, { steps, repeats }),
    },
  ];
  for (const size of [512, 1024]) {
    peers.push({
      unit: 'gflops',
      name: 'OpenBLAS in numpy',
      install: 'pip install numpy',
      script: 'openblas.py',
      modules: ['numpy'],
      figure: `GEMM ${size}³`,
      args: ['--m', size, '--n', size, '--k', size, '--threads', engine.threads, '--repeats', repeats],
      ours: async () =>
        (await benchGemm(engine, { m: size, n: size, k: size, repeats, precision: 'f32' })).gflops,
    });
  }
  return peers;
}

const bestTraining = (
  engine: Engine,
  shape: ModelShape,
  options: Omit<TrainOptions, 'precision'>,
): Promise<Spread> =>
  best(engine, 'gemmBf16', (precision) => benchTrain(engine, shape, { ...options, precision }));

const bestDecoding = (
  engine: Engine,
  shape: ModelShape,
  options: Pick<DecodeOptions, 'tokens' | 'repeats'>,
): Promise<Spread> =>
  best(engine, 'panelLinear', (precision) =>
    benchDecode(engine, shape, { ...options, context: 0, precision }),
  );

/** The faster of the precisions that the engine has, bf16 by a kernel: peers may choose theirs, too. */
async function best(
  engine: Engine,
  ofBf16: KernelName,
  bench: (precision: Precision) => Promise<{ readonly tokensPerSecond: Spread }>,
): Promise<Spread> {
  const measured: Spread[] = [];
  for (const precision of precisions) {
    if (precision === 'bf16' && lacksKernel(ofBf16, engine.limits)) continue;
    measured.push((await bench(precision)).tokensPerSecond);
  }
  return measured.reduce((best, other) => (other.median > best.median ? other : best));
}

const largeText = `xLSTM Large ${LARGE.blocks} × ${LARGE.dim}`;

const modelArgs = ({ blocks, dim, heads, vocab }: ModelShape): (string | number)[] => [
  ...['--blocks', blocks, '--dim', dim, '--heads', heads, '--vocab', vocab],
];

const trainingArgs = ({
  batch,
  length,
  steps,
}: Pick<PeersOptions, 'batch' | 'length' | 'steps'>): (string | number)[] => [
  ...['--batch', batch, '--length', length, '--steps', steps],
];

const lstmArgs = ({
  inputs,
  dim,
  depth,
  batch,
  length,
}: typeof NUMBERS | typeof SHORT): (string | number)[] => [
  ...['--inputs', inputs, '--dim', dim, '--layers', depth],
  ...['--batch', batch, '--length', length],
];

const isPython = ({ script }: Peer): boolean => script.endsWith('.py');

async function isInstalled(peer: Peer, python: string): Promise<boolean> {
  if (!isPython(peer)) {
    const { resolve } = createRequire(new URL(peer.script, folder));
    return peer.modules.every((name) => {
      try {
        return resolve(name) !== '';
      } catch {
        return false;
      }
    });
  }
  const find = `import sys, importlib.util as i; sys.exit(not all(i.find_spec(m) for m in sys.argv[1:]))`;
  return (await execute(python, ['-c', find, ...peer.modules])).status === 0;
}

async function runPeer(peer: Peer, python: string): Promise<Record<string, unknown>> {
  const script = fileURLToPath(new URL(peer.script, folder));
  const command = isPython(peer) ? python : process.execPath;
  const { status, output, errors } = await execute(command, [script, ...peer.args.map(String)]);
  const last = output.trim().split('\n').at(-1) ?? '';
  if (status !== 0 || !last.startsWith('{')) {
    const detail = errors.trim().split('\n').at(-1) ?? '';
    throw new XlstmError(
      'engine',
      `the peer "${peer.name}" failed (${peer.script}, exit code ${status}): ${detail}`,
      `Its packages may be incomplete: ${peer.install}`,
    );
  }
  return JSON.parse(last) as Record<string, unknown>;
}

/** A command's exit code, null where it cannot be started, and what it printed. */
function execute(
  command: string,
  args: readonly string[],
): Promise<{ status: number | null; output: string; errors: string }> {
  return new Promise((resolve) => {
    const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'] });
    let output = '';
    let errors = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => (output += text));
    child.stderr.setEncoding('utf8').on('data', (text: string) => (errors += text));
    child.once('error', (error) => resolve({ status: null, output, errors: error.message }));
    child.once('close', (status) => resolve({ status, output, errors }));
  });
}
