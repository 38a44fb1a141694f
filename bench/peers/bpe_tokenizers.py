"""Byte-level BPE of Python's `tokenizers` beside `xlstm tokenizer train`: tokens, merges and ids have to be the same."""

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import time

from tokenizers import Regex, Tokenizer, __version__, decoders, models, pre_tokenizers, trainers

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
CLI = os.path.join(ROOT, "bin", "xlstm.js")
WORDS = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"

# Encodes and decodes each line of standard input, a JSON text.
ENCODE = """
import { readFileSync } from 'node:fs';
import { SubwordTokenizer } from 'xlstm';
const tokenizer = await SubwordTokenizer.create(JSON.parse(readFileSync(process.argv[1], 'utf8')));
for (const line of readFileSync(0, 'utf8').trimEnd().split('\\n')) {
  const ids = tokenizer.encode(JSON.parse(line));
  console.log(JSON.stringify({ ids: [...ids], text: tokenizer.decode(ids) }));
}
"""


def train(text, vocabulary):
    t = Tokenizer(models.BPE())
    t.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(WORDS), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    t.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        min_frequency=2,
        special_tokens=["<|document|>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    t.train_from_iterator([text], trainer)
    return t


def random_texts(count):
    """Letters, white space and signs of all of Unicode, surrogates left out; lengths from 0 to 200."""
    chance = random.Random(1)
    pools = [(0x20, 0x7F), (0, 0x250), (0x2000, 0x2070), (0x3000, 0x3100), (0xE000, 0x10FFFF), (0x1F600, 0x1F640)]
    pools.append((0xFEFF, 0xFF00))

    def character():
        low, high = chance.choice(pools)
        return chr(chance.randrange(low, high))

    return ["".join(character() for _ in range(chance.randrange(200))) for _ in range(count)]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("text", help="a text file in UTF-8")
    parser.add_argument("--vocabulary", type=int, default=8000)
    args = parser.parse_args()
    with open(args.text, encoding="utf-8", newline="") as file:
        text = file.read()
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "tokenizer.json")
        command = ["node", CLI, "tokenizer", "train", args.text, "--vocabulary", str(args.vocabulary)]
        start = time.perf_counter()
        subprocess.run([*command, "--special", "<|document|>", "--out", path], check=True)
        ours_seconds = time.perf_counter() - start
        start = time.perf_counter()
        theirs = train(text, args.vocabulary)
        their_seconds = time.perf_counter() - start
        with open(path, encoding="utf-8") as file:
            ours = json.load(file)
        made = json.loads(theirs.to_str())

        texts = [*(text[i : i + 5000] for i in range(0, min(len(text), 1_000_000), 5000)), *random_texts(300)]
        loaded = Tokenizer.from_file(path)
        encoded = subprocess.run(
            ["node", "--input-type=module", "-e", ENCODE, path],
            input="\n".join(map(json.dumps, texts)) + "\n",
            stdout=subprocess.PIPE,
            check=True,
            encoding="utf-8",
            cwd=ROOT,
        )
        lines = [json.loads(line) for line in encoded.stdout.rstrip("\n").split("\n")]
        different = [
            text
            for text, line in zip(texts, lines, strict=True)
            if line["ids"] != loaded.encode(text, add_special_tokens=False).ids or line["text"] != text
        ]
    facts = {
        "library": f"tokenizers {__version__}",
        "sameTokens": ours["model"]["vocab"] == made["model"]["vocab"],
        "sameMerges": ours["model"]["merges"] == made["model"]["merges"],
        "texts": len(texts),
        "encodedDifferently": len(different),
        "trainingSeconds": {"xlstm": round(ours_seconds, 2), "tokenizers": round(their_seconds, 2)},
    }
    print(json.dumps(facts))
    for text in different[:5]:
        print(json.dumps(text), file=sys.stderr)
    sys.exit(0 if facts["sameTokens"] and facts["sameMerges"] and not different else 1)


main()
