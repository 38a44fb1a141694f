const THIN = '\u202f';

/** 12 345 */
export const integer = (value: number): string =>
  Math.round(value)
    .toString()
    .replace(/\B(?=(\d{3})+$)/g, THIN);

/** A number of people's size: four digits that count. */
export function decimal(value: number): string {
  if (!Number.isFinite(value)) return '–';
  const size = Math.abs(value);
  if (size >= 1e6 || (size < 1e-4 && size > 0)) return value.toExponential(2);
  if (size < 0.01 && size > 0) return `${Number(value.toPrecision(2))}`.replace('-', '−');
  const digits = size >= 1000 ? 0 : size >= 100 ? 1 : size >= 10 ? 2 : 3;
  return value.toFixed(digits).replace('-', '−');
}

/** A round number beside an axis, in the digits that it has. */
export const tick = (value: number): string => `${Number(value.toPrecision(6))}`.replace('-', '−');

/** 1.2 MB */
export function bytes(count: number): string {
  const units = ['B', 'kB', 'MB', 'GB'];
  let value = count;
  let unit = 0;
  while (value >= 1000 && unit < units.length - 1) {
    value /= 1000;
    unit++;
  }
  return `${value < 10 && unit > 0 ? value.toFixed(1) : Math.round(value)} ${units[unit]}`;
}
