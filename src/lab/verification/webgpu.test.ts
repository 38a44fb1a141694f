import { describe, it } from 'vitest';
import { gpuEngines } from '../../compute/engines/testing/engines.ts';
import { verifiesAll } from './testing/golden_files.ts';

const { cases, missing } = await gpuEngines();
for (const { name, open } of cases) describe(`golden vectors on ${name}`, () => verifiesAll(() => open(1)));
if (missing) it.skip(`golden vectors on webgpu: not run, ${missing}`, () => {});
