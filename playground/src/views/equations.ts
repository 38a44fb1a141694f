/** Said where a model is used that nobody has trained here. */
export const SHIPPED =
  'This is the small xLSTM[1:1] that comes with the page: it has read Moby-Dick for a few minutes. Train or open one of your own in Train.';

/** What each number of a cell is, with its equation. */
export const MEANING = {
  input: 'input gate I = exp(i − m): how strongly the token is written',
  forget: 'forget gate F = exp(log σ(f) + m before − m): how much of the memory stays',
  forgetScalar: 'forget gate F = exp(l − m), l = m before + log σ(f): how much of the memory stays',
  m: 'stabiliser m = max(log σ(f) + m before, i): the logarithm by which the memory is scaled',
  n: 'normaliser n = F n before + I k̂: what was written in all, by which reading divides',
  nScalar: 'normaliser n = F n before + I',
  decay: 'what stays: F · C before',
  write: 'what is written: I · k̂ vᵀ',
  c: 'matrix memory C = F · C before + I · k̂ vᵀ',
  cScalar: 'memory c = F c before + I tanh(z)',
  h: 'what is read: h = Cᵀ q̂ / max(|n · q̂|, exp(−m))',
  q: 'query q̂: what the token asks the memory for',
  k: 'key k̂: the place that the token writes to',
  v: 'value v: what the token writes there',
  candidate: 'tanh(z): what the token would write',
  output: 'output gate σ(o): how much is told',
  y: 'y = σ(o) c / n: what the cell gives',
} as const;
