"""Training and step decoding of the official `xlstm` package on PyTorch: one JSON line on standard output."""

import argparse
import json
import statistics
import time
from importlib.metadata import version

import torch
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
    parser.add_argument("what", choices=["train", "decode"])
    sizes = {"blocks": 4, "dim": 128, "heads": 4, "vocab": 256, "batch": 16, "length": 256}
    counts = {"steps": 3, "tokens": 100, "repeats": 3}
    for name, default in {**sizes, **counts}.items():
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--slstm-at", default="", help="block numbers, separated by commas")
    parser.add_argument("--threads", default="1,2", help="thread counts to try; the best is reported")
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
    torch.manual_seed(1)
    model = xLSTMLMModel(config)
    model.reset_parameters()
    return model


def trainer(model, args):
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, betas=(0.9, 0.95), weight_decay=0.1, fused=True)
    tokens = torch.randint(args.vocab, (args.batch, args.length + 1))

    def step():
        logits = model(tokens[:, :-1])
        loss = torch.nn.functional.cross_entropy(logits.reshape(-1, args.vocab), tokens[:, 1:].reshape(-1))
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()

    return step, args.steps, args.batch * args.length


def decoder(model, args):
    model.eval()
    token, state = torch.zeros(1, 1, dtype=torch.long), None

    def step():
        nonlocal token, state
        with torch.inference_mode():
            logits, state = model.step(token, state)
            token = logits.argmax(-1).reshape(1, 1)

    return step, args.tokens, 1


def seconds_per_step(step, steps):
    start = time.perf_counter()
    for _ in range(steps):
        step()
    return (time.perf_counter() - start) / steps


def spread(values):
    return {"median": statistics.median(values), "min": min(values), "max": max(values)}


def main():
    args = arguments()
    model = build(args)
    step, steps, tokens = (trainer if args.what == "train" else decoder)(model, args)
    best = None
    for threads in [int(count) for count in args.threads.split(",")]:
        torch.set_num_threads(threads)
        seconds_per_step(step, max(1, steps // 4))
        times = [seconds_per_step(step, steps) for _ in range(args.repeats)]
        if best is None or statistics.median(times) < statistics.median(best[0]):
            best = times, threads
    times, threads = best
    report = {
        "peer": f"xlstm {version('xlstm')} on PyTorch {version('torch')}",
        "threads": threads,
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        "tokensPerSecond": spread([tokens / t for t in times]),
        "stepMs" if args.what == "train" else "msPerToken": spread([1000 * t for t in times]),
    }
    print(json.dumps(report))


if __name__ == "__main__":
    main()
