"""Training and step decoding of the official `xlstm` package on PyTorch: one JSON line on standard output."""

import argparse
from importlib.metadata import version

import torch
from common import compiled, model_arguments, report, train_step
from xlstm import (
    FeedForwardConfig,
    mLSTMBlockConfig,
    mLSTMLayerConfig,
    sLSTMBlockConfig,
    sLSTMLayerConfig,
    xLSTMLMModel,
    xLSTMLMModelConfig,
)


def arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    model_arguments(parser, {"blocks": 4, "dim": 128, "heads": 4, "vocab": 256})
    parser.add_argument("--slstm-at", default="", help="block numbers, separated by commas")
    return parser.parse_args()


def build(args):
    slstm_at = [int(block) for block in args.slstm_at.split(",") if block]
    config = xLSTMLMModelConfig(
        vocab_size=args.vocab,
        embedding_dim=args.dim,
        num_blocks=args.blocks,
        context_length=args.length,
        slstm_at=slstm_at,
        mlstm_block=mLSTMBlockConfig(mlstm=mLSTMLayerConfig(num_heads=args.heads)),
        slstm_block=sLSTMBlockConfig(
            slstm=sLSTMLayerConfig(num_heads=args.heads, backend="vanilla", dtype="float32"),
            feedforward=FeedForwardConfig(proj_factor=1.3, act_fn="gelu"),
        )
        if slstm_at
        else None,
    )
    model = xLSTMLMModel(config)
    model.reset_parameters()
    return model


def decoder(model, mode):
    model.eval()
    call = compiled(model.step, mode)
    token, state = torch.zeros(1, 1, dtype=torch.long), None

    def step():
        nonlocal token, state
        with torch.inference_mode():
            logits, state = call(token, state)
            token = logits.argmax(-1).reshape(1, 1)

    return step, 1


def main():
    args = arguments()

    def make(mode):
        model = build(args)
        made = train_step(compiled(model, mode), model, args) if args.what == "train" else decoder(model, mode)
        return model, *made

    report(f"xlstm {version('xlstm')}", args, make, args.steps if args.what == "train" else args.tokens)


if __name__ == "__main__":
    main()
