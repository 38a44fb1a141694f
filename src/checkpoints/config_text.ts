/**
 * A configuration as JSON for people. Numbers of the keys in `decimals` have a decimal point, 1.0: readers in Python tell
 * whole numbers from others.
 */
export function configText(
  config: Readonly<Record<string, unknown>>,
  decimals: readonly string[] = [],
): string {
  const text = `${JSON.stringify(config, null, 2)}\n`;
  return text.replace(/^( {2}"(\w+)": -?\d+)(?=,?$)/gm, (all, start: string, key: string) =>
    decimals.includes(key) ? `${start}.0` : all,
  );
}
