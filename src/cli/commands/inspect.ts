import { Command } from 'commander';
import { checkWeights } from '../../checkpoints/checkpoint_folder.ts';
import { XlstmError } from '../../errors.ts';
import { formatBytes, formatCount, formatInteger } from '../../format.ts';
import { type AdapterFacts, type Inspection, inspect } from '../../lab/inspect.ts';
import { oneLine } from '../../quote.ts';
import { isTokenFile } from '../../training/token_file.ts';
import { writeGates } from '../gates.ts';
import { type Output, standardOutput } from '../output.ts';
import { integer } from '../parse.ts';
import { readModelDesign } from '../read_config.ts';
import { inspectTokenFile } from '../token_file_facts.ts';
import { renderTable } from '../ui/table.ts';

interface InspectOptions {
  readonly length?: number;
  readonly verify?: boolean;
  readonly json?: boolean;
  readonly gates?: string;
  readonly out?: string;
}

export function inspectCommand(): Command {
  return new Command('inspect')
    .description(
      'layers, parameters, state and cost of a checkpoint or a configuration; what a token file holds',
    )
    .argument('<path>', 'a checkpoint, the folder of a run, an adapter, a config.json, or a token file')
    .option('--length <n>', "tokens of a training sequence (default: the model's context length)", integer(1))
    .option('--verify', 'read all of a token file and compare it with its digest')
    .option('--json', 'print the facts as JSON')
    .option('--gates <text>', 'what the gates and memories do while the model reads this text, as a page')
    .option('--out <file.html>', 'where that page is written')
    .addHelpText(
      'after',
      `
Examples:
  xlstm inspect runs/moby-dick
  xlstm inspect my-model/config.json --json
  xlstm inspect from-pytorch            (config.json beside model.safetensors, or a .pt, .pth or .ckpt)
  xlstm inspect library.tokens --verify
  xlstm inspect runs/moby-dick --gates 'The whale!' --out gates.html`,
    )
    .action(async (path: string, options: InspectOptions) => {
      const { length, verify = false, json = false, gates, out } = options;
      const output = standardOutput();
      if ((gates === undefined) !== (out === undefined)) {
        throw new XlstmError(
          'usage',
          gates === undefined
            ? '--out: expected --gates with it, found none'
            : '--gates: expected --out with it, found none',
          'xlstm inspect RUN --gates TEXT --out gates.html',
        );
      }
      if (gates !== undefined && out !== undefined) return output.line(await writeGates(path, gates, out));
      if (isTokenFile(path)) return inspectTokenFile(output, path, verify, json);
      if (verify) {
        throw new XlstmError('usage', `--verify: expected a token file, found something else at ${path}`);
      }
      const { design, source } = await readModelDesign(path);
      if (source !== path) await checkWeights(path);
      const facts = inspect(design, length);
      if (json) output.json({ source, ...facts });
      else print(output, source, facts);
    });
}

function print(output: Output, source: string, facts: Inspection): void {
  const { style, width } = output;
  const { layers, parameters, parameterBytes, stateBytes, decoding, training } = facts;
  output.line(`${style.strong(source)}  ${facts.architecture}`);
  const rows = [...layers, { name: 'all', kind: '', parameters, stateBytes }].map((layer) => [
    layer.name,
    layer.kind,
    formatInteger(layer.parameters),
    layer.stateBytes > 0 ? formatBytes(layer.stateBytes) : '',
  ]);
  const columns = [
    { header: 'layer', align: 'left' as const },
    { header: 'kind', align: 'left' as const },
    { header: 'parameters' },
    { header: 'state' },
  ];
  output.line(renderTable({ columns, rows, emphasize: (i) => i === layers.length }, style, width));
  const { adapter } = facts;
  const lines: [string, string][] = adapter ? [['adapter', adapterText(adapter)]] : [];
  lines.push(
    [
      'parameters',
      `${formatCount(parameters)} (${formatBytes(parameterBytes)}${facts.packing ? `, matrices in ${facts.packing}` : ' in float32'})`,
    ],
    ['state', `${formatBytes(stateBytes)} for each sequence, however long it is`],
  );
  if (decoding) lines.push(['decoding', `${flop(decoding.flopsPerToken)} for each token`]);
  if (training) {
    const { flopsPerToken, length } = training;
    lines.push([
      'training',
      `${flop(flopsPerToken)} for each token in sequences of ${formatInteger(length)}`,
    ]);
  }
  output.line();
  for (const [name, text] of lines) output.line(`${name.padEnd(12)}${text}`);
}

function adapterText({ rank, alpha, base, targets, matrices, parameters }: AdapterFacts): string {
  const ends = targets && [...new Set(targets.map((target) => target.split('.').at(-1)))].join(', ');
  const where = `beside ${matrices} matrices${ends ? ` (${ends})` : ''} of ${oneLine(base)}`;
  return `rank ${rank}, alpha ${alpha}, ${where}: ${formatCount(parameters)} numbers`;
}

/** 192k → 192 kFLOP */
const flop = (count: number): string => `${formatCount(count).replace(/[kMGT]?$/, ' $&')}FLOP`;
