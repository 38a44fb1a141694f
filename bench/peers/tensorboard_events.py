"""Reads the event files below a folder with TensorBoard itself, and prints a JSON line for each folder and tag:
the steps and values that its scalars page shows. With --metrics it compares them with the metrics.jsonl of the runs."""

import argparse
import json
import pathlib

from tensorboard.backend.event_processing.event_multiplexer import EventMultiplexer

TAGS = {
    "loss/training": "loss",
    "loss/validation": "validationLoss",
    "step/gradient norm": "gradientNorm",
    "step/learning rate": "learningRate",
    "step/tokens per second": "tokensPerSecond",
}

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("logdir", type=pathlib.Path)
parser.add_argument("--metrics", action="store_true")
options = parser.parse_args()

events = EventMultiplexer(size_guidance={"scalars": 0})
events.AddRunsFromDirectory(str(options.logdir))
events.Reload()
differences = 0
for run, found in sorted(events.Runs().items()):
    for tag in found["scalars"]:
        scalars = events.Scalars(run, tag)
        line = {"run": run, "tag": tag, "steps": [s.step for s in scalars], "values": [s.value for s in scalars]}
        if options.metrics:
            path = options.logdir / pathlib.Path(run).parent / "metrics.jsonl"
            records = [json.loads(text) for text in path.read_text().splitlines()]
            known = [(r["step"], r[TAGS[tag]]) for r in records if TAGS[tag] in r]
            same = [s for s, _ in known] == line["steps"] and all(
                abs(value - scalar) <= 1e-6 * abs(value) for (_, value), scalar in zip(known, line["values"])
            )
            differences += not same
            line = {"run": run, "tag": tag, "count": len(scalars), "asMetrics": same}
        print(json.dumps(line))
if options.metrics and (differences or not events.Runs()):
    raise SystemExit(f"{differences} tags differ from metrics.jsonl")
