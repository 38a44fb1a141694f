"""Writes the tokenizers of this folder and what Python's `tokenizers` makes of some texts: pip install tokenizers==0.23.3

    python make.py TEXT    (any English text)
"""
import json
import os
import random
import sys

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

HERE = os.path.dirname(os.path.abspath(__file__))
LINES = open(sys.argv[1], encoding="utf-8").read()[:200_000].splitlines(keepends=True)
BYTES = pre_tokenizers.ByteLevel.alphabet()


def trained(tokenizer, trainer):
    tokenizer.train_from_iterator(LINES, trainer)
    return tokenizer


def byte_level():
    t = Tokenizer(models.BPE())
    t.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    t.decoder = decoders.ByteLevel()
    return trained(
        t,
        trainers.BpeTrainer(
            vocab_size=360, special_tokens=["<|endoftext|>", "<|padding|>"], initial_alphabet=BYTES, show_progress=False
        ),
    )


def neox():
    """As that of the 7B model: runs of spaces are added tokens, a normal form before them."""
    t = byte_level()
    t.normalizer = normalizers.NFC()
    t.post_processor = processors.ByteLevel(trim_offsets=True)
    t.add_tokens([AddedToken(" " * n, normalized=True, special=False) for n in range(8, 1, -1)])
    return t


def llama():
    t = Tokenizer(models.BPE(unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    t.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    specials = ["<unk>", "<s>", "</s>"] + [f"<0x{b:02X}>" for b in range(256)]
    t = trained(t, trainers.BpeTrainer(vocab_size=400, special_tokens=specials, show_progress=False))
    made = json.loads(t.to_str())
    made["added_tokens"] = made["added_tokens"][:3]
    t = Tokenizer.from_str(json.dumps(made))
    t.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    t.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 1)])
    return t


def words():
    t = Tokenizer(models.WordLevel(unk_token="[UNK]"))
    t.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return trained(t, trainers.WordLevelTrainer(vocab_size=200, special_tokens=["[UNK]", "[EOS]"], show_progress=False))


def unigram():
    t = Tokenizer(models.Unigram())
    t.pre_tokenizer = pre_tokenizers.Metaspace()
    t.decoder = decoders.Metaspace()
    return trained(
        t, trainers.UnigramTrainer(vocab_size=250, special_tokens=["<unk>", "</s>"], unk_token="<unk>", show_progress=False)
    )


def word_piece():
    t = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    t.normalizer = normalizers.BertNormalizer()
    t.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    t.decoder = decoders.WordPiece(cleanup=False)
    return trained(t, trainers.WordPieceTrainer(vocab_size=300, special_tokens=["[UNK]", "[CLS]"], show_progress=False))


TEXTS = [
    "The whale, the whale! It wasn't seen by 1851 men.",
    "  two spaces   and\n\n\tmore lines\n",
    "naïve café – 日本語 😀 e\u0301",
    "don't DON'T 'tis they'll I'd",
    "a",
    "x    y\r\n        z ",
]

expected = {}
for make in [byte_level, neox, llama, words, unigram, word_piece]:
    t = make()
    t.save(os.path.join(HERE, f"{make.__name__}.json"), pretty=False)
    cases = []
    for text in TEXTS:
        ids = t.encode(text, add_special_tokens=False).ids
        cases.append({"text": text, "ids": ids, "decoded": t.decode(ids, skip_special_tokens=False)})
    expected[make.__name__] = cases
with open(os.path.join(HERE, "expected.json"), "w", encoding="utf-8") as file:
    json.dump(expected, file, ensure_ascii=False, indent=1)
    file.write("\n")


# What `xlstm tokenizer train` has to find: random texts of few letters, in which the same token is made in several ways.
WORDS = (
    r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
)
ALPHABETS = ["ab ", "abc ", "aé日😀 \n", "ab1.'s  \t", "a\u0085\ufeff\u00a0b "]
chance = random.Random(1)
cases = []
for case in range(20):
    alphabet = ALPHABETS[case % len(ALPHABETS)]
    text = "".join(chance.choice(alphabet) for _ in range(chance.choice([60, 300, 1000])))
    t = Tokenizer(models.BPE())
    t.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(WORDS), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    t.decoder = decoders.ByteLevel()
    specials = ["<|document|>", "<|end|>"][: case % 3]
    t.train_from_iterator(
        [text],
        trainers.BpeTrainer(
            vocab_size=258 + 10 * (case + 1),
            min_frequency=2,
            special_tokens=specials,
            initial_alphabet=BYTES,
            show_progress=False,
        ),
    )
    made = json.loads(t.to_str())
    tokens = sorted(made["model"]["vocab"], key=made["model"]["vocab"].get)
    cases.append(
        {
            "text": text,
            "vocabSize": 258 + 10 * (case + 1),
            "specials": specials,
            "tokens": tokens[256 + len(specials) :],
            "merges": made["model"]["merges"],
            "ids": t.encode(text).ids,
        }
    )
with open(os.path.join(HERE, "trained.json"), "w", encoding="utf-8") as file:
    file.write("[\n" + ",\n".join(json.dumps(case, ensure_ascii=True) for case in cases) + "\n]\n")
