import { readFile } from 'node:fs/promises';
import { expect, it } from 'vitest';

const root = new URL('../../', import.meta.url);
const { sensor, sinceAverage } = await import(new URL('examples/sensor_network.js', root).href);
const { fitLogistic } = await import(new URL('bench/logistic_regression.js', root).href);

interface Series {
  readonly inputs: number[][];
  readonly labels: number[];
}

function series(id: number, minutes: number): Series {
  const readings: { label: number }[] = sensor(id);
  return { inputs: sinceAverage(readings, minutes), labels: readings.map(({ label }) => label) };
}

/** What docs/anomaly.md says that takes no seconds to repeat: the data, and logistic regression. */
it('docs/anomaly.md: counts of readings, and F1 of logistic regression on one step', async () => {
  const guide = await readFile(new URL('docs/anomaly.md', root), 'utf8');
  const rows = [...guide.matchAll(/^\| (\d) \| (?:in|out)doors \| ([\d,]+) \| (\w+)/gm)];
  expect(rows).toHaveLength(4);
  for (const [, id, readings, events] of rows) {
    const { labels } = series(Number(id), 10);
    expect(labels).toHaveLength(Number(readings.replace(',', '')));
    expect(labels.filter((label) => label === 1)).toHaveLength(events === 'none' ? 0 : Number(events));
  }

  const all = new Map([1, 2, 3, 4].map((id) => [id, series(id, 30)]));
  const f1 = (heldOut: readonly number[]): string => {
    let right = 0;
    let labelled = 0;
    let said = 0;
    for (const id of heldOut) {
      const predict = fitLogistic(
        [...all].filter(([other]) => other !== id).map(([, each]) => each),
        1,
      );
      const { inputs, labels } = all.get(id) as Series;
      const events: boolean[] = predict(inputs);
      right += labels.filter((label, t) => label === 1 && events[t]).length;
      labelled += labels.filter((label) => label === 1).length;
      said += events.filter(Boolean).length;
    }
    return ((2 * right) / (labelled + said)).toFixed(3);
  };
  expect(guide).toContain(`| logistic regression | 30 min, 1 step | ${f1([2, 3, 4])} | ${f1([1])} |`);
});
