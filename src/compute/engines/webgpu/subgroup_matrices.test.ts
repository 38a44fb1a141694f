import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { relativeError } from '../../../lab/verification/compare.ts';
import { evaluation, type NamedArray } from '../../evaluation.ts';
import { differentiate } from '../../graph/differentiate.ts';
import { multiply, sum } from '../../graph/elementwise.ts';
import { headwiseLinear, linear, matmul } from '../../graph/matmul.ts';
import { PanelMatrix } from '../../graph/panel_linear.ts';
import { packPanels } from '../../program/panels.ts';
import { Region } from '../../program/region.ts';
import { chooseEngine } from '../choose.ts';
import type { Engine } from '../engine.ts';
import { importWebgpu } from '../node_host.ts';
import { createReferenceEngine } from '../reference/engine.ts';
import { findAdapter, openDevice } from './device.ts';
import { WebgpuEngine } from './engine.ts';
import {
  findMatrices,
  hardwareMatrices,
  MATRIX_FEATURE,
  type MatrixConfig,
  type MatrixUnit,
} from './subgroup_matrices.ts';
import { emulatedMatrices } from './testing/emulated_matrices.ts';
import { hasSoftwareGpu, useSoftwareGpu } from './testing/software_gpu.ts';

const config = (componentType: string, M: number, N: number, K: number): MatrixConfig => ({
  ...{ componentType, resultComponentType: 'f32', M, N, K },
});

/** Sizes that devices have: Apple's, Nvidia's, and of unequal sides. */
const configs = [
  config('f32', 8, 8, 8),
  config('f16', 8, 8, 8),
  config('f16', 16, 16, 16),
  config('f16', 8, 16, 16),
  config('f16', 16, 8, 8),
  config('f32', 16, 4, 4),
];

const wave = (shape: number[], phase: number): NamedArray => ({
  shape,
  values: Array.from({ length: shape.reduce((a, b) => a * b) }, (_, i) => Math.sin(phase + 0.7 * i)),
});
/** Multiples of 1/32 up to 1: numbers of f16. */
const coarse = ({ shape, values }: NamedArray): NamedArray => ({
  shape,
  values: Array.from(values, (value) => Math.round(32 * value) / 32),
});

/** Sizes are multiples of 4 and of no matrix: the last tiles, matrices and slices are not full. */
const products = {
  'with bias and residual': (on: Engine, round: (array: NamedArray) => NamedArray = (array) => array) =>
    evaluation(
      on,
      {
        x: round(wave([140, 44], 1)),
        w: round(wave([268, 44], 2)),
        bias: wave([268], 3),
        residual: wave([140, 268], 4),
      },
      ({ x, w, bias, residual }) => ({ outputs: { y: linear(x, w, bias, residual) } }),
    ),
  'in every layout': (on: Engine) =>
    evaluation(
      on,
      { x: wave([140, 204], 1), w: wave([196, 204], 2), v: wave([196, 268], 5) },
      ({ x, w, v }) => {
        const y = linear(x, w);
        const t = matmul(y, v);
        const [dx, dw, dv] = differentiate([sum(multiply(t, t))], [x, w, v]);
        return { outputs: { y, t, dx: dx!, dw: dw!, dv: dv! } };
      },
    ),
  'in parts of a long sum': (on: Engine) =>
    evaluation(on, { x: wave([132, 524], 1), w: wave([204, 524], 2) }, ({ x, w }) => ({
      outputs: { y: linear(x, w) },
    })),
  'of a batch, in every layout': (on: Engine) =>
    evaluation(on, { x: wave([132, 4 * 68], 1), w: wave([4, 76, 68], 2) }, ({ x, w }) => {
      const y = headwiseLinear(x, w);
      const [dx, dw] = differentiate([sum(multiply(y, y))], [x, w]);
      return { outputs: { y, dx: dx!, dw: dw! } };
    }),
  'with a matrix of bfloat16': (on: Engine) => {
    const region = new Region('matrix');
    const weight = new PanelMatrix(region, 'w', [272, 44]);
    const memory = on.allocate(region);
    memory.write('w', packPanels(wave([272, 44], 2).values, 44));
    return evaluation(on, { x: wave([140, 44], 1) }, ({ x }) => ({ outputs: { y: linear(x, weight) } }), [
      memory,
    ]);
  },
} as const;

describe.runIf(hasSoftwareGpu)('products in subgroup matrices', { timeout: 300_000 }, () => {
  beforeAll(useSoftwareGpu);

  describe('as the front end of Dawn takes them', () => {
    /** Its null backend has the feature and computes nothing. It lives as long as the process: Dawn crashes otherwise. */
    let dawn: GPU;
    const newAdapter = async (): Promise<GPUAdapter> => (await dawn.requestAdapter())!; // each gives one device
    let lanes: number;
    beforeAll(async () => {
      const { create } = await importWebgpu();
      dawn = create(['backend=null', 'enable-dawn-features=allow_unsafe_apis,disable_workgroup_init']) as GPU;
      lanes = (await newAdapter()).info.subgroupMaxSize;
    });

    /** Compiles a product, and gives the texts that multiply matrices of subgroups. */
    async function compiled(unit: MatrixUnit, product: (on: Engine) => { run(): Promise<unknown> }) {
      const device = await openDevice(
        { adapter: await newAdapter(), features: ['subgroups'], description: 'null' },
        unit.features,
      );
      const texts: string[] = [];
      const { createShaderModule } = device;
      device.createShaderModule = (descriptor) => {
        texts.push(descriptor.code);
        return createShaderModule.call(device, descriptor);
      };
      const engine = new WebgpuEngine(device, 'null', undefined, unit);
      try {
        await product(engine).run();
      } finally {
        await engine.close();
      }
      return texts.filter((text) => text.includes('subgroupMatrixMultiplyAccumulate('));
    }

    it.each(configs)('$componentType, $M × $N × $K', async (each) => {
      for (const [name, product] of Object.entries(products)) {
        const texts = await compiled(hardwareMatrices(each, lanes), product);
        const layouts = texts.map((text) => text.match(/const trans[AB] = \d/g)?.join());
        expect(new Set(layouts).size, name).toBe(name.endsWith('every layout') ? 3 : 1);
      }
    });

    it('refuses texts whose matrices do not fit, or whose workgroups are no multiple of a subgroup', async () => {
      const { 'with bias and residual': product } = products;
      const unlike = hardwareMatrices(config('f32', 8, 16, 8), lanes);
      await expect(compiled(unlike, product)).resolves.toHaveLength(1);
      const right = (at: string, stride: number): string =>
        unlike.right(at, stride).replace('<f32, 16, 8>', '<f32, 8, 16>');
      await expect(compiled({ ...unlike, right }, product)).rejects.toThrow('no matching call');
      const narrow = hardwareMatrices(config('f32', 8, 8, 8), lanes / 8);
      await expect(compiled(narrow, product)).rejects.toThrow(
        'must be a multiple of the device maxSubgroupSize',
      );
      const apart = { ...unlike, statements: 'let subgroup_id = lane / 32u;\n', parameters: '' };
      await expect(compiled(apart, product)).rejects.toThrow('subgroup uniform control flow');
    });

    it('finds the first of its matrices that tiles are made of, and says what it has where there is none', async () => {
      const adapter = await newAdapter();
      const with_ = (subgroupMatrixConfigs: readonly MatrixConfig[], features = [...adapter.features]) =>
        ({
          features: new Set(features),
          info: { subgroupMaxSize: 32, subgroupMatrixConfigs },
        }) as unknown as GPUAdapter;
      const all = [config('i8', 8, 8, 32), config('f16', 12, 12, 12), ...configs];
      const found = (operands: 'f32' | 'f16', from = with_(all)) =>
        findMatrices(from, ['subgroups'], 'Card 1', operands);
      expect(found('f32')).toMatchObject({
        config: configs[0],
        lanes: 32,
        features: ['subgroups', MATRIX_FEATURE],
      });
      expect(found('f16')).toMatchObject({
        config: configs[1],
        features: expect.arrayContaining(['shader-f16']),
      });
      const halves = { ...config('f16', 16, 16, 16), resultComponentType: 'f16' };
      expect(() => found('f16', with_([halves]))).toThrow(
        'subgroupMatrices: Card 1 has no matrices of f16 with sums in f32 that tiles of 16 × 16 × 16 are made of; ' +
          'it has f16 with sums in f16, 16 × 16 × 16',
      );
      expect(() => found('f32', with_(configs.slice(1, 5)))).toThrow(
        /of f32 with .* it has f16 with sums in f32, 8/,
      );
      expect(() => found('f32', adapter)).toThrow('it has none'); // Dawn's null backend
      expect(() => found('f16', with_(all, ['subgroups', MATRIX_FEATURE]))).toThrow(
        'no numbers of f16 (shader-f16)',
      );
      expect(() => findMatrices(with_(all), [], 'Card 1', 'f32')).toThrow(
        'no subgroups that know their number',
      );
    });
  });

  describe('as arrays take their place', () => {
    const engines: Engine[] = [];
    afterAll(() => Promise.all(engines.map((engine) => engine.close())));
    async function emulation(...unit: Parameters<typeof emulatedMatrices>): Promise<Engine> {
      const found = await findAdapter();
      const matrices = emulatedMatrices(...unit);
      const engine = new WebgpuEngine(await openDevice(found), found.description, undefined, matrices);
      engines.push(engine);
      return engine;
    }

    /** Compares with the reference engine. */
    async function compare(engine: Engine, name: keyof typeof products): Promise<void> {
      const product = products[name];
      const [right, found] = [await product(createReferenceEngine()).run(), await product(engine).run()];
      for (const [output, values] of Object.entries<ArrayLike<number>>(right))
        expect(relativeError(found[output as 'y'], values), `${output} ${name}`).toBeLessThan(1e-5);
    }

    it.each([
      ['four subgroups', config('f32', 8, 8, 8), 32, 32],
      ['matrices of unequal sides', config('f32', 16, 8, 4), 32, 32],
      ['two subgroups, since they are wide', config('f32', 8, 16, 8), 128, 128],
      ['more subgroups than of the widest', config('f32', 16, 16, 16), 64, 16],
    ])('computes what the reference engine computes, with %s', async (_, ...unit) => {
      await compare(await emulation(...unit), 'with bias and residual');
    });

    it.each([
      'in every layout',
      'in parts of a long sum',
      'of a batch, in every layout',
      'with a matrix of bfloat16',
    ] as const)('computes what the reference engine computes, %s', async (name) => {
      await compare(await emulation(config('f32', 16, 16, 8), 32), name);
    });

    it('rounds operands to f16 where it is asked for, and nothing else', async () => {
      const engine = await emulation(config('f16', 16, 16, 16), 32);
      const { 'with bias and residual': product } = products;
      const [right, found] = [await product(createReferenceEngine()).run(), await product(engine).run()];
      const error = relativeError(found.y, right.y);
      expect(error).toBeGreaterThan(2e-5);
      expect(error).toBeLessThan(1e-3);
      const [exact, same] = [
        await product(createReferenceEngine(), coarse).run(),
        await product(engine, coarse).run(),
      ];
      expect(relativeError(same.y, exact.y)).toBeLessThan(1e-6);
    });
  });

  it('are refused where the graphics processor, the engine or the word does not have them', async () => {
    await expect(chooseEngine('webgpu', { subgroupMatrices: 'f32' })).rejects.toMatchObject({
      ...{ name: 'XlstmError', code: 'engine', hint: expect.stringContaining('leave subgroupMatrices out') },
      message: expect.stringMatching(
        /^subgroupMatrices: SwiftShader.* has no subgroup matrices \(feature chromium-experimental-subgroup-matrix\)$/,
      ),
    });
    await expect(chooseEngine('wasm', { subgroupMatrices: 'f32' })).rejects.toThrow(
      'subgroupMatrices: the engine "wasm" has none',
    );
    const wrong = 'bf16' as 'f16';
    await expect(chooseEngine('webgpu', { subgroupMatrices: wrong })).rejects.toThrow(
      'subgroupMatrices: expected',
    );
    const { engine } = await chooseEngine('webgpu'); // another one goes on
    await engine.close();
  });
});
