/** What stands for a number that there is not: not measured, not finite. */
export const NOTHING = '–';

/** 1234567 → 1,234,567 */
export function formatInteger(value: number): string {
  if (!Number.isFinite(value)) return NOTHING;
  return Math.round(value)
    .toString()
    .replace(/\B(?=(\d{3})+$)/g, ',');
}

/** Three digits and a unit of a thousand: 950, 12.3k, 1.23M. */
export function formatCount(value: number): string {
  return scaled(value, ['', 'k', 'M', 'G', 'T'], '');
}

/** Decimal units, as disks are sold: 512 B, 1.50 MB. */
export function formatBytes(bytes: number): string {
  return scaled(bytes, ['B', 'kB', 'MB', 'GB', 'TB'], ' ');
}

function scaled(value: number, units: readonly string[], space: string): string {
  if (!Number.isFinite(value)) return NOTHING;
  let scale = 0;
  let size = Math.abs(value);
  // 999.5 would be rounded to 1000 of its unit.
  while (size >= 999.5 && scale < units.length - 1) {
    size /= 1000;
    scale++;
  }
  const sign = value < 0 ? '-' : '';
  if (scale === 0) return `${sign}${trim(size)}${space}${units[0]}`;
  const digits = size < 9.995 ? 2 : size < 99.95 ? 1 : 0;
  return `${sign}${size.toFixed(digits)}${space}${units[scale]}`;
}

/** Whole numbers stay whole; others keep at most three digits. */
const trim = (size: number): string =>
  Number.isInteger(size) ? String(size) : String(Number(size.toPrecision(3)));

/** The two largest units: 850 ms, 4.2 s, 1m 04s, 2h 05m, 3d 04h. */
export function formatDuration(seconds: number): string {
  if (!Number.isFinite(seconds) || seconds < 0) return NOTHING;
  if (seconds < 0.9995) return `${Math.round(seconds * 1000)} ms`;
  if (seconds < 9.95) return `${seconds.toFixed(1)} s`;
  const whole = Math.round(seconds);
  const two = (value: number): string => String(value).padStart(2, '0');
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)}m ${two(whole % 60)}s`;
  const minutes = Math.round(seconds / 60);
  if (minutes < 24 * 60) return `${Math.floor(minutes / 60)}h ${two(minutes % 60)}m`;
  const hours = Math.round(seconds / 3600);
  return `${Math.floor(hours / 24)}d ${two(hours % 24)}h`;
}

/** 0.248 → 24.8 % */
export function formatPercent(fraction: number): string {
  if (!Number.isFinite(fraction)) return NOTHING;
  // Not before everything is done does it say 100.
  const percent = fraction < 1 ? Math.min(99.9, fraction * 100) : fraction * 100;
  return `${percent.toFixed(percent < 99.95 ? 1 : 0)} %`;
}

/** A loss or another measure with a fixed number of decimals; says so when it is no number any more. */
export function formatFixed(value: number, decimals: number): string {
  if (Number.isNaN(value)) return 'NaN';
  if (!Number.isFinite(value)) return value > 0 ? '∞' : '-∞';
  return value.toFixed(decimals);
}

/** 0.00098 → 9.8e-4 */
export function formatRate(value: number): string {
  if (value === 0) return '0';
  if (!Number.isFinite(value)) return NOTHING;
  const [digits, exponent] = value.toExponential(1).split('e');
  return `${digits}e${exponent.replace('+', '')}`;
}

/** A measurement of any size: 21.43, 0.001234, 1.235e+7. */
export function formatSignificant(value: number, digits = 4): string {
  return Number.isFinite(value) ? String(Number(value.toPrecision(digits))) : formatFixed(value, 0);
}
