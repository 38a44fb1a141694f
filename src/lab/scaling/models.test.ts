import { describe, expect, it } from 'vitest';
import { Parameters, Scope } from '../../nn/parameters.ts';
import { checkedStudyModel, sizedModel, studyModelNames, studyModels } from './models.ts';

describe.each(studyModelNames)('%s', (name) => {
  it.each([30_000, 1_000_000])('has about %i parameters beside its embedding', (size) => {
    const { config, parameters, embeddingParameters } = sizedModel(name, size, 1024);
    expect(Math.abs(parameters / size - 1)).toBeLessThan(0.03);
    const all = new Parameters();
    studyModels[name].build(new Scope(all), config);
    expect(all.count).toBe(parameters + embeddingParameters);
    // The embedding, and an output matrix of its own that may be wider and have a bias.
    expect(embeddingParameters).toBeGreaterThanOrEqual(2 * 1024 * config.embeddingDim);
    expect(embeddingParameters).toBeLessThan(4 * 1024 * config.embeddingDim);
  });
});

describe('the models of a scaling study', () => {
  it('tell what cannot be as small, and know their names', () => {
    expect(() => sizedModel('xlstm[7:1]', 100, 1024)).toThrow(
      'xlstm[7:1]: no size has 100 parameters beside its embedding to within 3 %',
    );
    expect(checkedStudyModel('xLSTM-Large')).toBe('xlstm-large');
    expect(() => checkedStudyModel('gpt')).toThrow('the scaling study has no model called "gpt"');
  });
});
