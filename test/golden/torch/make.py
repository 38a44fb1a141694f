"""
Makes the files beside it with PyTorch 2.15.0, Lightning 2.6.6 and the official package xlstm 2.0.5, on a CPU:
pip install torch lightning xlstm; python test/golden/torch/make.py
"""

import copy
import json
import os
from collections import OrderedDict
from pathlib import Path

import lightning
import torch
from dacite import Config, from_dict
from xlstm import xLSTMLMModel, xLSTMLMModelConfig
from xlstm.blocks.slstm.cell import sLSTMCell_cuda

here = Path(__file__).parent
torch.manual_seed(1)

# tensors.pt: every type of element; views of one storage in any order.
base = torch.arange(24, dtype=torch.float32)
matrix = torch.arange(6, dtype=torch.float32).reshape(2, 3)
tensors = OrderedDict(
    f64=torch.tensor([0.1, -3], dtype=torch.float64),
    f32=torch.tensor([[0.1, -3]]),
    f16=torch.tensor([1, -2, 65504], dtype=torch.float16),
    bf16=torch.tensor([1, -3.140625], dtype=torch.bfloat16),
    i64=torch.tensor([-5, 2**31 - 1]),
    i32=torch.tensor([-7], dtype=torch.int32),
    i16=torch.tensor([-300], dtype=torch.int16),
    i8=torch.tensor([-128, 127], dtype=torch.int8),
    u8=torch.tensor([0, 255], dtype=torch.uint8),
    bool=torch.tensor([True, False]),
    scalar=torch.tensor(2.5),
    empty=torch.zeros(0, 5),
    matrix=matrix,
    tied=matrix,
    transposed=matrix.t(),
    every_fifth=base[1::5],
    window=base.reshape(2, 3, 4)[:, 1:, ::2],
    permuted=base.reshape(2, 3, 4).permute(2, 0, 1),
    parameter=torch.nn.Parameter(2 * matrix),
)
torch.save(tensors, here / "tensors.pt")

# What is refused.
torch.save({"w": matrix}, here / "legacy.pt", _use_new_zipfile_serialization=False)


class Command:
    def __reduce__(self):
        return os.system, ("touch it-was-run",)


torch.save({"w": matrix, "extra": Command()}, here / "command.pt")

# xlstm/: a model in the layout of the cuda backend, as its own folder; the same in a checkpoint of Lightning.
config = {
    "vocab_size": 7,
    "embedding_dim": 8,
    "num_blocks": 1,
    "context_length": 16,
    "slstm_at": [0],
    "tie_weights": True,
    "slstm_block": {
        "slstm": {"backend": "vanilla", "num_heads": 2, "conv1d_kernel_size": 4},
        "feedforward": {"proj_factor": 1.0, "act_fn": "gelu", "round_proj_up_to_multiple_of": 8},
    },
}
model = xLSTMLMModel(from_dict(xLSTMLMModelConfig, copy.deepcopy(config), Config(strict=True)))
model.reset_parameters()
with torch.no_grad():
    for parameter in model.parameters():
        parameter.copy_(0.5 * torch.randn_like(parameter))
tokens = torch.arange(1, 13)[None] * 5 % 7
model.eval()
with torch.no_grad():
    logits = model(tokens)

state = model.state_dict()
for name, module in model.named_modules():
    if not name.endswith("slstm_cell"):
        continue
    cuda = sLSTMCell_cuda(module.config, skip_backend_init=True)
    state[f"{name}._recurrent_kernel_"] = cuda._recurrent_kernel_ext2int(
        module._recurrent_kernel_int2ext(module._recurrent_kernel_)
    )
    state[f"{name}._bias_"] = cuda._bias_ext2int(module._bias_int2ext(module._bias_))

(here / "xlstm").mkdir(exist_ok=True)
torch.save(state, here / "xlstm" / "pytorch_model.bin")
config["slstm_block"]["slstm"]["backend"] = "cuda"
(here / "xlstm" / "config.json").write_text(json.dumps(config, indent=2) + "\n")
expected = {"tokens": tokens[0].tolist(), "logits": [[round(x, 6) for x in row] for row in logits[0].tolist()]}
(here / "xlstm" / "expected.json").write_text(json.dumps(expected) + "\n")


class Module(lightning.LightningModule):
    def __init__(self, width, rate):
        super().__init__()
        self.save_hyperparameters()
        self.model = model

    def training_step(self, batch):
        return self.model(batch).square().mean()

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.0)


trainer = lightning.Trainer(
    max_steps=1, accelerator="cpu", logger=False, enable_checkpointing=False, enable_progress_bar=False
)
trainer.fit(Module(8, 0.5), torch.utils.data.DataLoader(tokens.repeat(2, 1)))
trainer.save_checkpoint(here / "lightning.ckpt")
