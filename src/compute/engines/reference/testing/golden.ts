import { readFileSync } from 'node:fs';

/** A golden file: its metadata and tensors in float64. See test/golden/README.md. */
export interface Golden<Case> {
  readonly cases: readonly Case[];
  tensor(name: string): Float64Array;
}

export function readGolden<Case>(file: string): Golden<Case> {
  const bytes = readFileSync(new URL(`../../../../../test/golden/${file}`, import.meta.url));
  const headerLength = Number(bytes.readBigUInt64LE(0));
  const header = JSON.parse(bytes.toString('utf8', 8, 8 + headerLength));
  return {
    cases: JSON.parse(header.__metadata__.cases),
    tensor(name) {
      const [begin, end] = header[name].data_offsets;
      return Float64Array.from({ length: (end - begin) / 4 }, (_, i) =>
        bytes.readFloatLE(8 + headerLength + begin + 4 * i),
      );
    },
  };
}
