"""Matrix products of OpenBLAS, as numpy's wheels bring it: one JSON line on standard output."""

import argparse
import json
import os
import statistics
import time

parser = argparse.ArgumentParser(description=__doc__)
for name, default in {"m": 512, "n": 512, "k": 512, "threads": 1, "repeats": 9}.items():
    parser.add_argument(f"--{name}", type=int, default=default)
args = parser.parse_args()
os.environ["OPENBLAS_NUM_THREADS"] = str(args.threads)  # read when numpy is loaded

import numpy  # noqa: E402


def main():
    random = numpy.random.default_rng(1)
    a = random.standard_normal((args.m, args.k), dtype=numpy.float32)
    b = random.standard_normal((args.k, args.n), dtype=numpy.float32)
    c = numpy.empty((args.m, args.n), dtype=numpy.float32)
    flops = 2 * args.m * args.n * args.k
    calls = max(1, round(1e10 / flops))

    def rate():
        start = time.perf_counter()
        for _ in range(calls):
            numpy.matmul(a, b, out=c)
        return calls * flops / (time.perf_counter() - start) / 1e9

    rate()
    rates = [rate() for _ in range(args.repeats)]
    blas = numpy.show_config(mode="dicts")["Build Dependencies"]["blas"]
    report = {
        "peer": f"{blas['name']} {blas['version']} in numpy {numpy.__version__}",
        "threads": args.threads,
        "gflops": {"median": statistics.median(rates), "min": min(rates), "max": max(rates)},
    }
    print(json.dumps(report))


main()
