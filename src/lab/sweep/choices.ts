import { XlstmError } from '../../errors.ts';
import { quote } from '../../quote.ts';
import { Random } from '../../random.ts';

/** Values of options by name, without dashes, as a command line has them. */
export type Choice = Readonly<Record<string, string>>;

/** What an option may be. */
export type Values =
  | { readonly name: string; readonly list: readonly string[] }
  | { readonly name: string; readonly from: number; readonly to: number; readonly logarithmic: boolean };

/** `name=1,2,3`, or `name=0.1..10` with `:log` behind it where factors count. Throws a usage error for anything else. */
export function parseValues(text: string): Values {
  const [, name, values] = /^(?:--)?([a-z][a-z0-9-]*)=(.+)$/.exec(text) ?? [];
  if (name !== undefined) {
    const [, from, to, log] = /^([^.,]*(?:\.\d[^.,]*)?)\.\.([^,:]+)(:log)?$/.exec(values) ?? [];
    if (from === undefined) return { name, list: values.split(',') };
    const range = { name, from: Number(from), to: Number(to), logarithmic: log !== undefined };
    if (range.from < range.to && Number.isFinite(range.to - range.from) && (!log || range.from > 0))
      return range;
  }
  throw new XlstmError(
    'usage',
    `expected NAME=VALUE,VALUE or NAME=LOW..HIGH or NAME=LOW..HIGH:log with LOW above 0, found ${quote(text)}`,
  );
}

/** Every combination, the last option first. Throws a usage error for a range, of which there is no end. */
export function gridChoices(options: readonly Values[]): Choice[] {
  let choices: Choice[] = [{}];
  for (const option of options) {
    if (!('list' in option)) {
      throw new XlstmError('usage', `${option.name}: a range is drawn from`, 'Say how often: --random 20.');
    }
    choices = choices.flatMap((choice) => option.list.map((value) => ({ ...choice, [option.name]: value })));
  }
  return choices;
}

/** So many draws, the same for a seed; more of them begin with the same. Each is there once. */
export function randomChoices(options: readonly Values[], count: number, seed: number): Choice[] {
  const random = new Random(seed);
  const draw = (option: Values): string => {
    if ('list' in option) return option.list[random.integer(option.list.length)];
    const { from, to, logarithmic } = option;
    const share = random.uint32() / 2 ** 32;
    const value = logarithmic ? from * (to / from) ** share : from + share * (to - from);
    return `${Number(value.toPrecision(4))}`;
  };
  const drawn = Array.from({ length: count }, () =>
    Object.fromEntries(options.map((option) => [option.name, draw(option)])),
  );
  return [...new Map(drawn.map((choice) => [choiceName(choice), choice])).values()];
}

/** For people, and to tell choices apart. */
export const choiceName = (choice: Choice): string =>
  Object.entries(choice)
    .map(([name, value]) => `${name}=${value}`)
    .join(' ');
