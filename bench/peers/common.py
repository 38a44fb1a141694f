"""What the peers on PyTorch share: the step that is timed, the ways to run it, the report."""

import contextlib
import itertools
import json
import statistics
import sys
import time

import torch


def model_arguments(parser, sizes):
    parser.add_argument("what", choices=["train", "prefill", "decode"])
    counts = {"batch": 16, "length": 256, "steps": 3, "tokens": 100, "repeats": 3}
    for name, default in {**sizes, **counts}.items():
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--threads", default="1,2", help="thread counts to try; the best is reported")
    parser.add_argument("--modes", default="eager,compile,bf16,compile+bf16", help="ways to try; the best is reported")
    return parser


def train_step(logits_of, model, args):
    """Forward, backward, clipping and AdamW on one batch of random tokens; and the tokens of a step."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, betas=(0.9, 0.95), weight_decay=0.1, fused=True)
    tokens = torch.randint(args.vocab, (args.batch, args.length + 1))

    def step():
        logits = logits_of(tokens[:, :-1]).float()
        loss = torch.nn.functional.cross_entropy(logits.reshape(-1, args.vocab), tokens[:, 1:].reshape(-1))
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()

    return step, args.batch * args.length


def autocast(mode):
    return torch.autocast("cpu", torch.bfloat16) if "bf16" in mode else contextlib.nullcontext()


def compiled(function, mode):
    return torch.compile(function) if "compile" in mode else function


def seconds_per_step(step, steps):
    start = time.perf_counter()
    for _ in range(steps):
        step()
    return (time.perf_counter() - start) / steps


def spread(values):
    return {"median": statistics.median(values), "min": min(values), "max": max(values)}


def report(peer, args, make, steps):
    """`make(mode)` returns a model, a step of it and the tokens of the step; the best mode and thread count is printed."""
    best = None
    threads = [int(count) for count in args.threads.split(",")]
    for mode, count in itertools.product(args.modes.split(","), threads):
        torch.set_num_threads(count)
        torch.manual_seed(1)
        torch._dynamo.reset()
        model, step, tokens = make(mode)
        try:
            with autocast(mode):
                seconds_per_step(step, max(2, steps // 4))
                times = [seconds_per_step(step, steps) for _ in range(args.repeats)]
        except Exception as error:  # compile needs a C++ compiler, bf16 not every operation has
            print(f"{mode}: {type(error).__name__}: {str(error).splitlines()[0]}", file=sys.stderr)
            continue
        print(f"{mode}, {count} threads: {tokens / statistics.median(times):.1f} tokens/s", file=sys.stderr)
        if best is None or statistics.median(times) < statistics.median(best[0]):
            best = times, mode, count, tokens, sum(parameter.numel() for parameter in model.parameters())
    if best is None:
        sys.exit("no mode worked")
    times, mode, count, tokens, parameters = best
    print(
        json.dumps(
            {
                "peer": f"{peer} on PyTorch {torch.__version__}" + ("" if mode == "eager" else f", {mode}"),
                "threads": count,
                "parameters": parameters,
                "tokensPerSecond": spread([tokens / t for t in times]),
            }
        )
    )
