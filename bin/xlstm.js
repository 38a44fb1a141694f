#!/usr/bin/env node
import { existsSync } from 'node:fs';

const program = new URL('../dist/cli/main.js', import.meta.url);
if (!existsSync(program)) {
  const checkout = existsSync(new URL('../src/', import.meta.url));
  process.stderr.write(
    checkout
      ? 'error: xlstm is not built yet (there is no dist/cli/main.js)\n  build it with "npm run build"\n'
      : 'error: the package xlstm lacks dist/cli/main.js\n  install it again\n',
  );
  process.exit(1);
}
const { main } = await import(program.href);
await main(process.argv.slice(2));
