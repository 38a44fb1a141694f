// Writes kernels/generated/ from the kernel table and its constants, so that the C++ side cannot drift from them.
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

const load = (file) => import(new URL(`dist/${file}.js`, root).href);

/** What the kernels' own headers need to know of the table. */
async function constantsHeader() {
  const { cellNames, kernelConstants, packedFormats } = await load('compute/program/constants');
  return [
    '// Written by scripts/header.js from src/compute/program/constants.ts. Do not edit.',
    '#pragma once',
    '#include <stdint.h>',
    '',
    'namespace xl {',
    '',
    ...Object.entries(kernelConstants).map(([name, value]) => `constexpr int64_t ${name} = ${value};`),
    '',
    `enum class RecurrentCell : int64_t { ${cellNames.join(', ')} };`,
    `enum class PackedFormat : int64_t { ${packedFormats.join(', ')} };`,
    '',
    '}  // namespace xl',
    '',
  ].join('\n');
}

/** The header's text, from the table's compiled modules. */
async function kernelHeader() {
  const { kernelNames, kernels } = await load('compute/program/kernels');
  const { scalarFunctionNames, STEP_WORDS } = await load('compute/program/scalar_functions');
  const { kernelTableSignature } = await load('compute/engines/signature');
  const lines = [
    '// Written by scripts/header.js from the kernel table, src/compute/program/kernels.ts, and scalar_functions.ts. Do not edit.',
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

/** Leaves unchanged files alone. */
export async function writeKernelHeader() {
  const folder = new URL('kernels/generated/', root);
  mkdirSync(folder, { recursive: true });
  const texts = { 'constants.h': await constantsHeader(), 'kernels.h': await kernelHeader() };
  const changed = Object.entries(texts).filter(([name, text]) => replaceFile(new URL(name, folder), text));
  return changed.map(([name]) => `kernels/generated/${name}`).join(', ') || undefined;
}
