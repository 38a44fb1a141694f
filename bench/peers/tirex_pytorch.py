"""Forecasts of TiRex-2 or TiRex by the official packages on PyTorch and by this project, by turns, with the same random weights at full size.

    python bench/peers/tirex_pytorch.py /tmp/tirex2-random --engine native
    python bench/peers/tirex_pytorch.py /tmp/tirex-random --model tirex --engine native

Prints a JSON line for each case: milliseconds of both (median and least), the ratio of the medians, and how far the medians
of the forecasts are apart, in deviations of the series.
"""

import argparse
import json
import pathlib
import statistics
import subprocess
import time

import numpy as np
import torch
from safetensors.numpy import load_file

parser = argparse.ArgumentParser()
parser.add_argument("folder", help="of the model; made where it is not there")
parser.add_argument("--model", choices=["tirex", "tirex2"], default="tirex2")
parser.add_argument("--engine", default="native")
parser.add_argument("--precision", choices=["f32", "bf16"], default="f32", help="of this project; the package's is float32")
parser.add_argument("--threads", type=int, default=2)
parser.add_argument("--compile", action="store_true", help="the package compiles its cells (needs a C++ compiler)")
parser.add_argument("--context", type=int, default=2048)
parser.add_argument("--horizon", type=int, default=64)
parser.add_argument("--repeats", type=int, default=7)
parser.add_argument("--cases", help="of one, many, targets, covariates; default: one,many, and of TiRex-2 covariates")
args = parser.parse_args()
torch.set_num_threads(args.threads)

ours = subprocess.Popen(
    ["node", str(pathlib.Path(__file__).parent / "tirex_ours.js"), args.folder, args.model, args.engine, args.precision],
    stdin=subprocess.PIPE,
    stdout=subprocess.PIPE,
    text=True,
)
engine = json.loads(ours.stdout.readline())["engine"]
random = np.random.default_rng(1)


def rows(count, length):
    t = np.arange(length)
    waves = [np.sin(t / random.uniform(3, 40)) + 0.3 * random.standard_normal(length) for _ in range(count)]
    return np.array(waves, dtype=np.float32).reshape(count, length)


def series(targets, past, future):
    return {
        "target": rows(targets, args.context),
        "past": rows(past, args.context),
        "future": rows(future, args.context + args.horizon),
    }


# Threads of either side that spin for more work are asleep when it is the other's turn.
PAUSE_S = 0.5

CASES = {"one": [(1, 0, 0)], "many": [(1, 0, 0)] * 32, "targets": [(5, 0, 0)], "covariates": [(5, 2, 2)]}


def tirex2():
    from tirex2 import TimeseriesType, load_model

    model = load_model(args.folder, device="cpu", compile=args.compile)

    def forecast(batch):
        given = [
            TimeseriesType(
                target=torch.tensor(each["target"]),
                past_covariates=torch.tensor(each["past"]) if len(each["past"]) else None,
                future_covariates=torch.tensor(each["future"]) if len(each["future"]) else None,
            )
            for each in batch
        ]
        return [result.numpy()[:, 4] for result in model.forecast(given, args.horizon)]

    return forecast


def tirex():
    """Its loader takes Lightning's checkpoints alone; the model is made of the same configuration and weights."""
    from tirex import TiRexZero
    from tirex.models.slstm.cell import sLSTMCellTorch

    folder = pathlib.Path(args.folder)
    model = TiRexZero(backend="torch", **json.loads((folder / "config.json").read_text()))
    weights = {name: torch.tensor(value) for name, value in load_file(folder / "model.safetensors").items()}
    model.on_load_checkpoint({"state_dict": weights})
    model.load_state_dict(weights)
    if args.compile:
        compiled = torch.compile(sLSTMCellTorch.slstm_forward)
        for block in model.blocks:
            block.slstm_layer.slstm_cell._impl_forward_torch = compiled

    def forecast(batch):
        context = torch.tensor(np.concatenate([each["target"] for each in batch]))
        quantiles, _ = model.forecast(context, prediction_length=args.horizon)
        return [row.numpy().T[4:5] for row in quantiles]

    return forecast


forecast = {"tirex": tirex, "tirex2": tirex2}[args.model]()


def theirs(batch):
    start = time.perf_counter()
    with torch.inference_mode():
        medians = forecast(batch)
    return (time.perf_counter() - start) * 1e3, medians


def answer(line):
    ours.stdin.write(line + "\n")
    ours.stdin.flush()
    return json.loads(ours.stdout.readline())


cases = args.cases or {"tirex": "one,many", "tirex2": "one,many,covariates"}[args.model]
for name in cases.split(","):
    batch = [series(*shape) for shape in CASES[name]]
    line = json.dumps(
        {"horizon": args.horizon, "series": [{k: v.tolist() for k, v in each.items()} for each in batch]}
    )
    answer(line), theirs(batch)  # plans, compiles
    times = {"ours": [], "theirs": []}
    for _ in range(args.repeats):
        time.sleep(PAUSE_S)
        found = answer(line)
        time.sleep(PAUSE_S)
        ms, expected = theirs(batch)
        times["ours"].append(found["ms"])
        times["theirs"].append(ms)
    apart = max(np.abs(np.array(a) - b).max() for a, b in zip(found["medians"], expected))
    middle = {side: statistics.median(values) for side, values in times.items()}
    print(
        json.dumps(
            {
                "model": args.model,
                "case": name,
                "engine": engine,
                "precision": args.precision,
                "compile": args.compile,
                **{f"{side}_ms": round(value, 1) for side, value in middle.items()},
                **{f"{side}_least_ms": round(min(values), 1) for side, values in times.items()},
                "ratio": round(middle["theirs"] / middle["ours"], 2),
                "apart": float(f"{apart:.2g}"),
            }
        ),
        flush=True,
    )
ours.stdin.close()
ours.wait()
