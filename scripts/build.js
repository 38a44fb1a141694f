import { execFileSync } from 'node:child_process';
import { writeKernelHeader } from './header.js';

execFileSync(process.execPath, ['node_modules/typescript/bin/tsc', '-p', 'tsconfig.build.json'], { stdio: 'inherit' });
await writeKernelHeader();
