"""
Checks adapters against PEFT over the same base, both ways. BASE is a folder of `xlstm convert --to transformers`.

With --adapter it opens an adapter that `xlstm train --lora` wrote and prints the loss on a text, beside which
`xlstm eval BASE TEXT --adapter ADAPTER --json` has its own. With --write PEFT makes an adapter of random matrices over BASE,
saves it there and prints the loss. One sequence of at most --length tokens, so take a text that is no longer.
"""

import argparse
import json
from pathlib import Path

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from transformers import AutoModelForCausalLM, AutoTokenizer


def random_adapter(model, targets):
    torch.manual_seed(0)
    adapted = get_peft_model(model, LoraConfig(task_type="CAUSAL_LM", r=4, lora_alpha=8, target_modules=targets))
    for name, parameter in adapted.named_parameters():
        if "lora_" in name:
            torch.nn.init.normal_(parameter, std=0.05)
    return adapted


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("base", type=Path)
    parser.add_argument("text", type=Path)
    adapters = parser.add_mutually_exclusive_group()
    adapters.add_argument("--adapter", type=Path)
    adapters.add_argument("--write", type=Path)
    parser.add_argument("--targets", default="q,k,v,out_proj,proj_up,proj_down")
    parser.add_argument("--length", type=int, default=512)
    args = parser.parse_args()
    ids = AutoTokenizer.from_pretrained(args.base)(args.text.read_text())["input_ids"][: args.length + 1]
    model = AutoModelForCausalLM.from_pretrained(args.base, autocast_kernel_dtype="float32")
    if args.adapter:
        model = PeftModel.from_pretrained(model, args.adapter)
    if args.write:
        model = random_adapter(model, args.targets.split(","))
        model.save_pretrained(args.write)
    matrices = sum("lora_A" in name for name, _ in model.named_parameters())
    with torch.inference_mode():
        logits = model.eval()(torch.tensor([ids[:-1]])).logits[0]
        loss = torch.nn.functional.cross_entropy(logits.float(), torch.tensor(ids[1:]))
    print(json.dumps({"tokens": len(ids) - 1, "loss": loss.item(), "adapted": matrices}))


if __name__ == "__main__":
    main()
