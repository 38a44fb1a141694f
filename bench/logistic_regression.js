/**
 * Logistic regression on windows: is the label of a step true, given the inputs of that step and of the `window` − 1
 * before it? Inputs are standardised; the exact optimum under a ridge of 1, by Newton's method.
 */
export function fitLogistic(series, window) {
  const rows = series.flatMap(({ inputs }) => windowsOf(inputs, window));
  const labels = series.flatMap(({ labels }) => labels);
  const columns = rows[0].length;
  const mean = Array.from({ length: columns }, (_, i) => sum(rows, (row) => row[i]) / rows.length);
  const deviation = mean.map((m, i) => Math.sqrt(sum(rows, (row) => (row[i] - m) ** 2) / rows.length));
  const standardised = (row) => [...row.map((value, i) => (value - mean[i]) / deviation[i]), 1];
  const xs = rows.map(standardised);
  let weights = new Array(columns + 1).fill(0);
  const score = (x) => sum(x, (value, i) => value * weights[i]);
  for (let change = 1, step = 0; change > 1e-6; step++) {
    if (step === 50) throw new Error('logistic regression does not converge');
    const gradient = weights.map((weight, i) => (i < columns ? weight : 0));
    const curvature = weights.map((_, i) => weights.map((_, j) => (i === j && i < columns ? 1 : 0)));
    for (const [k, x] of xs.entries()) {
      const probability = 1 / (1 + Math.exp(-score(x)));
      const slope = probability * (1 - probability);
      for (let i = 0; i <= columns; i++) {
        gradient[i] += (probability - labels[k]) * x[i];
        for (let j = 0; j <= columns; j++) curvature[i][j] += slope * x[i] * x[j];
      }
    }
    const direction = solve(curvature, gradient);
    change = Math.max(...direction.map(Math.abs));
    weights = weights.map((weight, i) => weight - direction[i]);
  }
  return (inputs) => windowsOf(inputs, window).map((row) => score(standardised(row)) > 0);
}

/** Of every step; before the first one the first is repeated. */
const windowsOf = (inputs, window) =>
  inputs.map((_, t) =>
    Array.from({ length: window }, (_, i) => inputs[Math.max(0, t - window + 1 + i)]).flat(),
  );

const sum = (values, of) => values.reduce((total, value, i) => total + of(value, i), 0);

/** x of matrix · x = right, of a symmetric positive matrix: Gauss without pivots. */
function solve(matrix, right) {
  const rows = matrix.map((row, i) => [...row, right[i]]);
  const n = rows.length;
  for (let i = 0; i < n; i++)
    for (let r = i + 1; r < n; r++) {
      const factor = rows[r][i] / rows[i][i];
      for (let c = i; c <= n; c++) rows[r][c] -= factor * rows[i][c];
    }
  const x = new Array(n);
  for (let i = n - 1; i >= 0; i--) {
    const known = sum(x.slice(i + 1), (value, j) => rows[i][i + 1 + j] * value);
    x[i] = (rows[i][n] - known) / rows[i][i];
  }
  return x;
}
