import { readdirSync, readFileSync } from 'node:fs';
import { posix } from 'node:path';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';
import { describe, expect, it } from 'vitest';

/** Small files beside the folders that all above compute may use. */
const TOOLS = ['checks.ts', 'event_loop.ts', 'json.ts', 'protobuf.ts', 'quote.ts'];

const COMPUTE = ['compute/program', 'compute/graph', 'compute/engines', 'compute'];
const NN = [...COMPUTE, ...TOOLS, 'random.ts', 'nn'];
const MODELS = [
  ...NN,
  'models/xlstm',
  'models/large',
  'models/baselines',
  'models/sequence',
  'models/tirex',
  'models/tirex2',
  'models',
];
const CHECKPOINTS = [...MODELS, 'data', 'checkpoints'];
const GENERATION = [...CHECKPOINTS, 'generation'];
const TRAINING = [...GENERATION, 'distributed', 'training'];
const SEQUENCES = [...TRAINING, 'sequences', 'forecasting'];
const SAVED = [...SEQUENCES, 'saved'];
const SERVING = [...SAVED, 'serving'];
const LAB = [
  ...SERVING,
  'format.ts',
  'lab/tasks',
  'lab/verification',
  'lab/charts',
  'lab/bench',
  'lab/cells',
  'lab/arena',
  'lab/scaling',
  'lab/search',
  'lab/sweep',
  'lab',
];

/**
 * What the files of a folder may import besides files of that folder and `errors.ts`, which all may; of `compute`,
 * `models` and `lab` the files that lie in no folder within are meant. A line names only what stands above it:
 * dependencies point one way.
 */
const ALLOWED: Readonly<Record<string, readonly string[]>> = {
  'errors.ts': [],
  'format.ts': [],
  'random.ts': [],
  'checks.ts': [],
  'event_loop.ts': [],
  'quote.ts': [],
  'protobuf.ts': [],
  'json.ts': ['quote.ts'],
  data: ['random.ts', ...TOOLS],
  'compute/program': [],
  'compute/graph': ['compute/program'],
  'compute/engines': ['compute/program', 'checks.ts'],
  compute: ['compute/program', 'compute/graph', 'compute/engines', 'checks.ts'],
  distributed: ['compute/engines', ...TOOLS],
  nn: [...COMPUTE, ...TOOLS, 'random.ts'],
  'models/xlstm': NN,
  'models/baselines': [...NN, 'models/xlstm'],
  'models/large': [...NN, 'models/xlstm'],
  'models/sequence': [...NN, 'models/xlstm', 'models/baselines'],
  'models/tirex': [...NN, 'models/xlstm'],
  'models/tirex2': [...NN, 'models/large', 'models/tirex'],
  models: [
    ...NN,
    'models/xlstm',
    'models/large',
    'models/baselines',
    'models/sequence',
    'models/tirex',
    'models/tirex2',
  ],
  onnx: MODELS,
  checkpoints: [...MODELS, 'data'],
  generation: CHECKPOINTS,
  training: [...GENERATION, 'distributed'],
  sequences: TRAINING,
  forecasting: TRAINING,
  saved: SEQUENCES,
  serving: SAVED,
  'lab/tasks': ['random.ts'],
  'lab/verification': [...TRAINING, 'forecasting'],
  'lab/charts': [],
  'lab/bench': [...SEQUENCES, 'format.ts'],
  'lab/cells': CHECKPOINTS,
  'lab/arena': [...SEQUENCES, 'format.ts', 'lab/tasks', 'lab/bench', 'lab/charts', 'lab/cells'],
  'lab/scaling': [
    ...SEQUENCES,
    'format.ts',
    'lab/bench',
    'lab/charts',
    'lab/cells',
    'lab/tasks',
    'lab/arena',
  ],
  'lab/search': [...SEQUENCES, 'format.ts', 'lab/charts', 'lab/cells', 'lab/tasks', 'lab/arena'],
  'lab/sweep': ['random.ts', ...CHECKPOINTS, 'distributed'],
  lab: LAB.slice(0, -1),
  cli: [...LAB, 'onnx'],
  // The public API: nothing imports it.
  'index.ts': LAB,
  'nn.ts': MODELS,
  'graph.ts': COMPUTE,
  'index_node.ts': [...SAVED, 'index.ts'],
  'onnx.ts': ['onnx'],
  'forecasting.ts': SAVED,
  'forecasting_node.ts': [...SAVED, 'forecasting.ts'],
  'serving.ts': SERVING,
  'ai_sdk.ts': SERVING,
  'node.ts': [...LAB, 'index.ts'],
};

/** From each file to those that it imports, for their types alone or not. */
type Imports = ReadonlyMap<string, readonly string[]>;

/** The modules of a folder, tests and their helpers left out, by their path within it, `/` between folders. */
function readImports(root: string): Imports {
  const files = readdirSync(root, { recursive: true, encoding: 'utf8' })
    .map((path) => path.replaceAll('\\', '/'))
    .filter((path) => /(?<!\.test|\.d)\.ts$/.test(path) && !path.split('/').includes('testing'));
  return new Map(files.map((file) => [file, importsOf(file, readFileSync(posix.join(root, file), 'utf8'))]));
}

/** `import`, `export … from`, `import()` and `import('…')` types, as the compiler finds them. */
function importsOf(file: string, text: string): string[] {
  return ts
    .preProcessFile(text, true, true)
    .importedFiles.filter(({ fileName }) => fileName.startsWith('.'))
    .map(({ fileName }) => posix.join(posix.dirname(file), fileName));
}

/** The line of `ALLOWED` that a file belongs to. */
function folderOf(file: string): string {
  const parts = file.split('/');
  const within = ['compute', 'models', 'lab'].includes(parts[0]) ? 2 : 1;
  return parts.length === 1 ? file : parts.slice(0, Math.min(within, parts.length - 1)).join('/');
}

function upwardArrows(imports: Imports): string[] {
  const arrows: string[] = [];
  for (const [file, targets] of imports) {
    const from = folderOf(file);
    for (const target of targets) {
      const to = folderOf(target);
      const allowed = to === from || to === 'errors.ts' || ALLOWED[from]?.includes(to);
      if (!allowed) arrows.push(`${file} → ${target}`);
    }
  }
  return arrows;
}

/** Groups of files that reach each other (Tarjan's strongly connected components), each as a sorted list of names. */
function circles(imports: Imports): string[] {
  const found: string[] = [];
  const index = new Map<string, number>();
  const lowest = new Map<string, number>();
  const open: string[] = [];
  const visit = (file: string): void => {
    index.set(file, index.size);
    lowest.set(file, index.get(file)!);
    open.push(file);
    for (const target of imports.get(file) ?? []) {
      if (!index.has(target)) visit(target);
      if (open.includes(target)) lowest.set(file, Math.min(lowest.get(file)!, lowest.get(target)!));
    }
    if (lowest.get(file) !== index.get(file)) return;
    const group = open.splice(open.indexOf(file));
    if (group.length > 1 || imports.get(file)?.includes(file)) found.push(group.sort().join(' ↔ '));
  };
  for (const file of imports.keys()) if (!index.has(file)) visit(file);
  return found.sort();
}

describe('the imports of src/', () => {
  const imports = readImports(fileURLToPath(new URL('../../src', import.meta.url)));

  it('are found', () => {
    expect(imports.size).toBeGreaterThan(200);
    for (const targets of imports.values())
      for (const target of targets) expect(imports.has(target)).toBe(true);
  });

  it('know every folder', () => {
    const folders = new Set([...imports.keys()].map(folderOf));
    expect([...folders].filter((folder) => !(folder in ALLOWED))).toEqual([]);
  });

  it('point one way', () => {
    expect(upwardArrows(imports)).toEqual([]);
  });

  it('make no circles, of types neither', () => {
    expect(circles(imports)).toEqual([]);
  });
});

describe('the rules themselves', () => {
  it('allow only what stands above', () => {
    const above = new Set<string>();
    for (const [folder, allowed] of Object.entries(ALLOWED)) {
      expect(allowed.filter((name) => !above.has(name))).toEqual([]);
      above.add(folder);
    }
  });

  it.each([
    ['format.ts below the lab', { 'nn/layer.ts': "import { a } from '../format.ts'" }],
    ['nn reads data', { 'nn/init.ts': "import { a } from '../data/batches.ts'" }],
    ['a type only', { 'compute/graph/plan.ts': "import type { Engine } from '../engines/engine.ts'" }],
    ['exported from', { 'training/run.ts': "export { a } from '../lab/inspect.ts'" }],
    ['for its side effects', { 'compute/engines/cpu.ts': "import '../graph/plan.ts'" }],
    ['when it runs', { 'checkpoints/files.ts': "const a = await import('../training/run.ts')" }],
    ['as a type in place', { 'models/index.ts': "type A = import('../generation/session.ts').Session" }],
    ['a sibling', { 'lab/bench/train.ts': "import { a } from '../arena/arena.ts'" }],
    ['a folder nobody has heard of', { 'surprise/a.ts': "import { a } from '../nn/init.ts'" }],
    ['the public API', { 'cli/main.ts': "import { a } from '../index.ts'" }],
  ])('find an arrow up: %s', (_, files) => {
    const planted = new Map(Object.entries(files).map(([file, text]) => [file, importsOf(file, text)]));
    expect(upwardArrows(planted)).toHaveLength(1);
  });

  it('find circles of any length, types included', () => {
    const text: Record<string, string> = {
      'a.ts': "import type { B } from './b.ts'; import './c.ts';",
      'b.ts': "export * from './d/c.ts';",
      'd/c.ts': "import { type A } from '../a.ts'; import './e.ts';",
      'd/e.ts': "import { e } from './f.ts';",
      'd/f.ts': "import { e } from './e.ts';",
      'c.ts': '',
    };
    const planted = new Map(Object.entries(text).map(([file, code]) => [file, importsOf(file, code)]));
    expect(circles(planted)).toEqual(['a.ts ↔ b.ts ↔ d/c.ts', 'd/e.ts ↔ d/f.ts']);
  });
});
