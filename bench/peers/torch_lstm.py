"""Training of `torch.nn.LSTM` and a linear layer on sequences of numbers: one JSON line on standard output."""

import argparse
import json
import statistics
import time

import torch


class Forecaster(torch.nn.Module):
    def __init__(self, inputs, dim, layers):
        super().__init__()
        self.lstm = torch.nn.LSTM(inputs, dim, layers, batch_first=True)
        self.head = torch.nn.Linear(dim, 1)

    def forward(self, x):
        return self.head(self.lstm(x)[0])


def arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    for name, default in {"inputs": 64, "dim": 128, "layers": 2, "batch": 32, "length": 128}.items():
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--steps", type=int, default=3)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", default="1,2", help="thread counts to try; the best is reported")
    return parser.parse_args()


def spread(values):
    return {"median": statistics.median(values), "min": min(values), "max": max(values)}


def main():
    args = arguments()
    torch.manual_seed(1)
    model = Forecaster(args.inputs, args.dim, args.layers)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, betas=(0.9, 0.95), weight_decay=0.01, fused=True)
    x = torch.randn(args.batch, args.length, args.inputs)
    targets = torch.randn(args.batch, args.length, 1)

    def seconds_per_step():
        start = time.perf_counter()
        for _ in range(args.steps):
            loss = torch.nn.functional.mse_loss(model(x), targets)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
        return (time.perf_counter() - start) / args.steps

    best = None
    for threads in [int(count) for count in args.threads.split(",")]:
        torch.set_num_threads(threads)
        seconds_per_step()
        times = [seconds_per_step() for _ in range(args.repeats)]
        if best is None or statistics.median(times) < statistics.median(best[0]):
            best = times, threads
    times, threads = best
    report = {
        "peer": f"LSTM in PyTorch {torch.__version__}",
        "threads": threads,
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        "tokensPerSecond": spread([args.batch * args.length / t for t in times]),
        "stepMs": spread([1000 * t for t in times]),
    }
    print(json.dumps(report))


if __name__ == "__main__":
    main()
