import { XlstmError } from '../../errors.ts';
import type { Architecture } from '../../nn/architecture.ts';
import { type SequenceConfig, type SequenceOptions, sequenceConfig } from './config.ts';
import { SequenceNetwork } from './network.ts';

/** Networks of numbers; config.json holds the options by their names. */
export const sequenceArchitecture: Architecture<SequenceConfig, SequenceNetwork> = {
  name: 'sequence',
  parseConfig(json, source) {
    try {
      return sequenceConfig(json as unknown as SequenceOptions);
    } catch (error) {
      if (!(error instanceof XlstmError)) throw error;
      throw new XlstmError('config', `${source}: ${error.message}`, error.hint);
    }
  },
  formatConfig: (config) => ({ ...config }),
  build: (scope, config) => new SequenceNetwork(scope, config),
  describe({ inputs, outputs, quantiles, classes, blocks, depth, dim, bidirectional }) {
    const each = quantiles.length > 0 ? ` of ${quantiles.length} quantiles` : '';
    const head =
      classes.length > 0
        ? `${classes.length} classes`
        : outputs > 0
          ? `${outputs} outputs${each}`
          : 'vectors';
    const twice = bidirectional ? ' in both directions' : '';
    return { summary: `${inputs} inputs, ${depth} layers of ${blocks}${twice}, width ${dim}, ${head}` };
  },
};
