"""Training, prefill and decoding of xLSTM Large in `transformers`, with its own kernels: one JSON line on standard output."""

import argparse
from importlib.metadata import version

import torch
import transformers.utils
from common import compiled, model_arguments, report, train_step

# Else it takes the layers of the package `xlstm`, where that is installed.
transformers.utils.is_xlstm_available = transformers.utils.import_utils.is_xlstm_available = lambda: False
from transformers import xLSTMConfig, xLSTMForCausalLM  # noqa: E402


def arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    model_arguments(parser, {"blocks": 6, "dim": 512, "heads": 4, "vocab": 256})
    return parser.parse_args()


def build(args):
    return xLSTMForCausalLM(
        xLSTMConfig(
            vocab_size=args.vocab,
            hidden_size=args.dim,
            num_hidden_layers=args.blocks,
            num_heads=args.heads,
            mode="train" if args.what == "train" else "inference",
            autocast_kernel_dtype="float32",
        )
    )


def trainer(model, mode, args):
    model.train()
    call = compiled(model, mode)
    return train_step(lambda tokens: call(tokens, use_cache=False).logits, model, args)


def prefiller(model, mode, args):
    model.eval()
    call = compiled(model, mode)
    tokens = torch.randint(args.vocab, (1, args.length))

    def step():
        with torch.inference_mode():
            call(tokens, use_cache=True)

    return step, args.length


def decoder(model, mode, args):
    model.eval()
    call = compiled(model, mode)
    with torch.inference_mode():
        cache = model(torch.zeros(1, 1, dtype=torch.long), use_cache=True).cache
    token = torch.zeros(1, 1, dtype=torch.long)

    def step():
        nonlocal token, cache
        with torch.inference_mode():
            out = call(token, cache=cache, use_cache=True)
            token, cache = out.logits[:, -1].argmax(-1).reshape(1, 1), out.cache

    return step, 1


def main():
    args = arguments()

    def make(mode):
        model = build(args)
        return model, *{"train": trainer, "prefill": prefiller, "decode": decoder}[args.what](model, mode, args)

    report(
        f"xLSTM Large of transformers {version('transformers')}",
        args,
        make,
        args.tokens if args.what == "decode" else args.steps,
    )


if __name__ == "__main__":
    main()
