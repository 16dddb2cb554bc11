"""Writes PyTorch state dicts for conformance/testdata/interchange with what PyTorch predicts.

Usage: python3 torch_models.py FOLDER

torch_NAME.state.safetensors is a state dict as the package safetensors saves it; torch_NAME.safetensors has the inputs (in.0), channels last as
nnc has them, and the outputs (out.0).
"""

import pathlib
import sys

import numpy as np
import torch
from safetensors.torch import save_file
from torch import nn


class Pictures(nn.Module):
    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(3, 4, 3), nn.ReLU(), nn.BatchNorm2d(4), nn.Conv2d(4, 8, (2, 3), groups=4), nn.ReLU(), nn.ConvTranspose2d(8, 5, 2, stride=2),
        )
        self.classifier = nn.Linear(5, 3)

    def forward(self, x):
        return self.classifier(self.features(x).mean(dim=(2, 3)))


class Words(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(11, 5)
        self.lstm = nn.LSTM(5, 4, batch_first=True, bidirectional=True)
        self.gru = nn.GRU(8, 3, batch_first=True)
        self.norm = nn.LayerNorm(3)
        self.out = nn.Linear(3, 3)  # square: only the layout tells

    def forward(self, x):
        y, _ = self.lstm(self.embedding(x))
        y, _ = self.gru(y)
        return self.out(self.norm(y[:, -1]))


class Tokens(nn.Module):
    def __init__(self):
        super().__init__()
        self.attention = nn.MultiheadAttention(8, 2, batch_first=True)
        self.norm = nn.LayerNorm(8)

    def forward(self, x):
        y, _ = self.attention(x, x, x)
        return self.norm(x + y)


def main(folder):
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    print("torch", torch.__version__)
    torch.manual_seed(7)
    cases = {
        "pictures": (Pictures(), torch.randn(4, 3, 9, 8)),
        "words": (Words(), torch.randint(0, 11, (4, 6))),
        "tokens": (Tokens(), torch.randn(4, 5, 8)),
    }
    for name, (module, x) in cases.items():
        for key, value in module.state_dict().items():  # nothing must be hidden by ones and zeros
            if value.dtype == torch.float32:
                value.copy_(torch.randn_like(value) * 0.4)
                if key.endswith("running_var"):
                    value.abs_().add_(0.5)
        module.eval()
        with torch.no_grad():
            y = module(x)
        save_file(module.state_dict(), folder / f"torch_{name}.state.safetensors")
        x = x.permute(0, 2, 3, 1).contiguous() if x.dim() == 4 else x
        x = x.to(torch.int32) if x.dtype == torch.int64 else x
        save_file({"in.0": x, "out.0": y}, folder / f"torch_{name}.safetensors")


if __name__ == "__main__":
    main(*sys.argv[1:])
