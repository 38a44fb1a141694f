"""Training of language models on PyTorch that the arena compares with: one JSON line on standard output.

lstm, gru: `torch.nn.LSTM` and `torch.nn.GRU` between an embedding and a linear layer. transformer: RMS norms, rotary positions,
`scaled_dot_product_attention`, SwiGLU of 8/3.
"""

import argparse

import torch
from common import compiled, model_arguments, report, train_step
from torch.nn import functional as F


class Recurrent(torch.nn.Module):
    def __init__(self, cell, args):
        super().__init__()
        self.embedding = torch.nn.Embedding(args.vocab, args.dim)
        self.cells = cell(args.dim, args.dim, args.blocks, batch_first=True)
        self.head = torch.nn.Linear(args.dim, args.vocab)

    def forward(self, tokens):
        return self.head(self.cells(self.embedding(tokens))[0])


class Block(torch.nn.Module):
    def __init__(self, args):
        super().__init__()
        dim, inner = args.dim, round(8 / 3 * args.dim)
        self.heads = args.heads
        self.attention_norm = torch.nn.RMSNorm(dim)
        self.qkv = torch.nn.Linear(dim, 3 * dim, bias=False)
        self.out = torch.nn.Linear(dim, dim, bias=False)
        self.feed_forward_norm = torch.nn.RMSNorm(dim)
        self.up = torch.nn.Linear(dim, 2 * inner, bias=False)
        self.down = torch.nn.Linear(inner, dim, bias=False)

    def forward(self, x, cos, sin):
        batch, length, dim = x.shape
        heads = self.qkv(self.attention_norm(x)).view(batch, length, 3, self.heads, -1)
        q, k, v = heads.permute(2, 0, 3, 1, 4)
        q, k = rotated(q, cos, sin), rotated(k, cos, sin)
        seen = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.out(seen.transpose(1, 2).reshape(batch, length, dim))
        gate, value = self.up(self.feed_forward_norm(x)).chunk(2, -1)
        return x + self.down(F.silu(gate) * value)


def rotated(x, cos, sin):
    a, b = x.chunk(2, -1)
    return torch.cat([a * cos - b * sin, a * sin + b * cos], -1)


class Transformer(torch.nn.Module):
    def __init__(self, args):
        super().__init__()
        self.embedding = torch.nn.Embedding(args.vocab, args.dim)
        self.blocks = torch.nn.ModuleList(Block(args) for _ in range(args.blocks))
        self.norm = torch.nn.RMSNorm(args.dim)
        self.head = torch.nn.Linear(args.dim, args.vocab, bias=False)
        half = args.dim // args.heads // 2
        angles = torch.outer(torch.arange(args.length), 10_000 ** (-torch.arange(half) / half))
        self.register_buffer("cos", angles.cos())
        self.register_buffer("sin", angles.sin())

    def forward(self, tokens):
        x = self.embedding(tokens)
        for block in self.blocks:
            x = block(x, self.cos, self.sin)
        return self.head(self.norm(x))


MODELS = {
    "lstm": lambda args: Recurrent(torch.nn.LSTM, args),
    "gru": lambda args: Recurrent(torch.nn.GRU, args),
    "transformer": Transformer,
}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", choices=MODELS, required=True)
    args = model_arguments(parser, {"blocks": 2, "dim": 128, "heads": 4, "vocab": 256}).parse_args()

    def make(mode):
        model = MODELS[args.model](args)
        return model, *train_step(compiled(model, mode), model, args)

    report(args.model, args, make, args.steps)


if __name__ == "__main__":
    main()
