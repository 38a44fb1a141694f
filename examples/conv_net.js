// An architecture of one's own: a network of the layers in xlstm/nn and the operations in xlstm/graph, with causal
// convolutions and gated feed-forwards in place of memory cells, and how its configuration is read and written. Models
// of it are created, saved, loaded and trained like those that come with the library; own_network.js does so. For the
// command line Node has to load it first:
//   NODE_OPTIONS="--import ./conv_net.js" npx xlstm inspect conv-net
import { registerArchitecture, XlstmError } from 'xlstm';
import { add, embedding } from 'xlstm/graph';
import { CausalConv1d, GatedFeedForward, LayerNorm, Linear, smallInit } from 'xlstm/nn';

/** x + conv(norm(x)), then x + feedforward(norm(x)). What it carries from piece to piece is the last inputs of the convolution. */
class Block {
  constructor(scope, dim, numBlocks) {
    this.convNorm = new LayerNorm(scope.child('conv_norm'), dim);
    this.conv = new CausalConv1d(scope, dim, 8);
    this.ffnNorm = new LayerNorm(scope.child('ffn_norm'), dim);
    const options = { innerDim: 2 * dim, activation: 'gelu', bias: false, dropout: 0, numBlocks };
    this.ffn = new GatedFeedForward(scope.child('ffn'), dim, options);
  }

  forward(x, pass, before) {
    const { y, lastState } = this.conv.forward(this.convNorm.forward(x), pass, before);
    const mixed = add(x, y);
    return { y: this.ffn.forward(this.ffnNorm.forward(mixed), pass, mixed), lastState };
  }
}

/** Tokens [B, T] to logits [B, T, vocabSize]: what Trainer, Evaluator and Session ask of a language model. */
class ConvLanguageModel {
  constructor(scope, { vocabSize, dim, numBlocks }) {
    this.vocabSize = vocabSize;
    this.embedding = scope.child('embedding').parameter('weight', [vocabSize, dim], smallInit(dim));
    this.blocks = Array.from(
      { length: numBlocks },
      (_, i) => new Block(scope.child(`blocks.${i}`), dim, numBlocks),
    );
    this.head = new Linear(scope.child('head'), dim, vocabSize, { weight: smallInit(dim) });
  }

  stateShapes(batch) {
    return Object.fromEntries(
      this.blocks.map(({ conv }, i) => [`blocks.${i}.inputs`, conv.stateShape(batch)]),
    );
  }

  forward(tokens, pass, state) {
    let x = embedding(tokens, this.embedding);
    const after = {};
    this.blocks.forEach((block, i) => {
      const { y, lastState } = block.forward(x, pass, state[`blocks.${i}.inputs`]);
      x = y;
      after[`blocks.${i}.inputs`] = lastState;
    });
    return { y: x, state: after };
  }

  logits(y) {
    return this.head.forward(y);
  }
}

export const convNet = registerArchitecture({
  name: 'conv-net',
  parseConfig({ vocabSize, dim = 64, numBlocks = 3 }, source) {
    const config = { vocabSize, dim, numBlocks };
    for (const [name, value] of Object.entries(config)) {
      if (Number.isSafeInteger(value) && value > 0) continue;
      throw new XlstmError('config', `${source}: ${name}: expected a whole number above 0, found ${value}`);
    }
    return config;
  },
  formatConfig: (config) => config,
  build: (scope, config) => new ConvLanguageModel(scope, config),
});
