// Writes kernels/generated/kernels.h from the kernel table, so that the C++ side cannot drift from it.
import { mkdirSync } from 'node:fs';
import { replaceFile, root } from './files.js';

const pascal = (name) => name[0].toUpperCase() + name.slice(1);
const cType = {
  in: 'const float*',
  'in?': 'const float*',
  out: 'float*',
  'out?': 'float*',
  scratch: 'float*',
  int: 'int64_t',
  float: 'float',
};

/** The header's text, from the table's compiled modules. */
async function kernelHeader() {
  const load = (file) => import(new URL(`dist/${file}.js`, root).href);
  const { kernelNames, kernels } = await load('program/kernels');
  const { scalarFunctionNames, STEP_WORDS } = await load('program/expression');
  const { kernelTableSignature } = await load('engine/signature');
  const lines = [
    '// Written by scripts/header.js from the kernel table, src/program/kernels.ts, and expression.ts. Do not edit.',
    '#pragma once',
    '#include <stdint.h>',
    '#include "../context.h"',
    '',
    'namespace xl {',
    '',
    'template <class T> inline T* address(double word) {',
    '  return reinterpret_cast<T*>(static_cast<uintptr_t>(word));',
    '}',
    `constexpr double KERNEL_TABLE = ${kernelTableSignature()};`,
    `constexpr int STEP_WORDS = ${STEP_WORDS};`,
    '',
    `enum class Scalar : int { ${scalarFunctionNames.join(', ')} };`,
    '',
  ];
  for (const name of kernelNames) {
    const { operands, tail } = kernels[name];
    const fields = Object.entries(operands);
    lines.push(`struct ${pascal(name)}Args {`);
    for (const [field, kind] of fields) lines.push(`  ${cType[kind]} ${field};`);
    if (tail) lines.push('  const double* tail;');
    lines.push(`  explicit ${pascal(name)}Args(const double* w) :`);
    const inits = fields.map(([field, kind], i) =>
      kind === 'int' || kind === 'float'
        ? `${field}(static_cast<${cType[kind]}>(w[${i}]))`
        : `${field}(address<${cType[kind].replace('*', '')}>(w[${i}]))`,
    );
    if (tail) inits.push(`tail(w + ${fields.length})`);
    lines.push(`    ${inits.join(',\n    ')} {}`, '};');
    lines.push(`void ${name}(const ${pascal(name)}Args&, const Context&);`, '');
  }
  lines.push('// Runs one instruction; w points past the opcode and the word count.');
  lines.push(
    'inline void dispatch(int opcode, const double* w, const Context& ctx) {',
    '  switch (opcode) {',
  );
  kernelNames.forEach((name, i) => {
    lines.push(`    case ${i}: return ${name}(${pascal(name)}Args(w), ctx);`);
  });
  lines.push('  }', '}', '', '}  // namespace xl', '');
  return lines.join('\n');
}

/** Leaves an unchanged file alone. */
export async function writeKernelHeader() {
  mkdirSync(new URL('kernels/generated/', root), { recursive: true });
  const changed = replaceFile(new URL('kernels/generated/kernels.h', root), await kernelHeader());
  return changed ? 'kernels/generated/kernels.h' : undefined;
}
