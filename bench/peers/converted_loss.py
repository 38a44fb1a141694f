"""
Opens a folder that `xlstm convert` wrote in the program that it was written for, and prints its loss on a text beside what
`xlstm eval MODEL TEXT --json` says. One sequence of at most --length tokens.
"""

import argparse
import json
from pathlib import Path

import torch


def transformers_logits(folder, text, length):
    from transformers import AutoModelForCausalLM, AutoTokenizer

    ids = AutoTokenizer.from_pretrained(folder)(text)["input_ids"][: length + 1]
    model = AutoModelForCausalLM.from_pretrained(folder, autocast_kernel_dtype="float32")
    return ids, model(torch.tensor([ids[:-1]])).logits[0]


def official_logits(folder, text, length):
    """Its tokens are bytes: the package has no tokenizers."""
    from xlstm.xlstm_large.from_pretrained import load_from_pretrained

    ids = list(text.encode())[: length + 1]
    return ids, load_from_pretrained(folder)(torch.tensor([ids[:-1]]))[0][0]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("text", type=Path)
    parser.add_argument("--length", type=int, default=512)
    args = parser.parse_args()
    read = official_logits if (args.folder / "config.yaml").exists() else transformers_logits
    with torch.inference_mode():
        ids, logits = read(args.folder, args.text.read_text(), args.length)
        loss = torch.nn.functional.cross_entropy(logits.float(), torch.tensor(ids[1:]))
    print(json.dumps({"tokens": len(ids) - 1, "loss": loss.item(), "ids": ids[:8]}))


if __name__ == "__main__":
    main()
