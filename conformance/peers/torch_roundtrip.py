"""Shows that PyTorch and nnc read each other's weight files and predict the same.

Usage: python3 torch_roundtrip.py NNC

NNC is the nnc program. For a convolutional and a recurrent network:

1. nnc trains for a few steps and saves a .safetensors and a .npz. Their tensors, renamed and transposed by `state`, go into a module of PyTorch.
2. The module trains on and its state dict is saved by safetensors.torch. nnc predicts with that file: by names, and with other names by --map.

Exits with 1 if a prediction differs by more than 1e-5.
"""

import json
import pathlib
import subprocess
import sys
import tempfile

import numpy as np
import safetensors
import torch
from safetensors.numpy import load_file
from safetensors.torch import save_file
from torch import nn

BOUND = 1e-5
EXAMPLES = 40

PROGRAMS = {
    "conv": """model Net(x: f32[96]) -> f32[3] {
    let image = [i < 6, j < 8, c < 2] => x[(i * 8 + j) * 2 + c]
    image
        |> Conv2D(4, 3, relu) |> BatchNorm(momentum: 0.5, eps: 1e-5) |> MaxPool2D(2) |> Flatten() |> Dense(8, tanh) |> Dense(3, softmax)
}""",
    "recurrent": """model Net(x: f32[96]) -> f32[3] {
    let steps = [i < 6, k < 16] => x[i * 16 + k]
    steps |> LSTM(8, return_sequences: true) |> GRU(5) |> Dense(3, softmax)
}""",
}

TRAIN = """
data Rows { source: csv("rows.csv", columns: { label: i32, x: rest }), batch: 20, shuffle: false }

train on Rows {
    loss:      crossentropy(Net(x), label)
    optimizer: adam(0.01)
    epochs:    5
    save:      "SAVE"
}
"""


class Conv(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv2d, self.batch_norm = nn.Conv2d(2, 4, 3), nn.BatchNorm2d(4)
        self.dense, self.dense_1 = nn.Linear(24, 8), nn.Linear(8, 3)

    def forward(self, x):
        x = self.conv2d(x.reshape(-1, 6, 8, 2).permute(0, 3, 1, 2)).relu()
        x = nn.functional.max_pool2d(self.batch_norm(x), 2)
        return self.dense_1(self.dense(x.permute(0, 2, 3, 1).flatten(1)).tanh()).softmax(-1)  # channels last, as nnc flattens


class Recurrent(nn.Module):
    def __init__(self):
        super().__init__()
        self.lstm, self.gru, self.dense = nn.LSTM(16, 8, batch_first=True), nn.GRU(8, 5, batch_first=True), nn.Linear(5, 3)

    def forward(self, x):
        y, _ = self.gru(self.lstm(x.reshape(-1, 6, 16))[0])
        return self.dense(y[:, -1]).softmax(-1)


def gates(a):
    """nnc's order of a GRU's gates, update and reset, becomes PyTorch's; they are the last dimension."""
    z, r, h = np.split(a, 3, -1)
    return np.concatenate([r, z, h], -1)


def state(tensors):
    """A state dict of PyTorch with nnc's tensors."""
    out = {}
    names = {"gamma": "weight", "beta": "bias", "bias": "bias", "moving_mean": "running_mean", "moving_variance": "running_var"}
    for path, a in tensors.items():
        layer, *_, name = path.split(".")  # of lstm.lstm_cell.kernel
        if layer == "gru":
            a = gates(a)
        if layer in ("lstm", "gru") and name == "bias":
            own, recurrent = a if layer == "gru" else (a, np.zeros_like(a))
            out |= {f"{layer}.bias_ih_l0": own, f"{layer}.bias_hh_l0": recurrent}
        elif layer in ("lstm", "gru"):
            out[f"{layer}.weight_{'ih' if name == 'kernel' else 'hh'}_l0"] = a.T
        elif name == "kernel":
            out[f"{layer}.weight"] = a.transpose(3, 2, 0, 1) if a.ndim == 4 else a.T
        else:
            out[f"{layer}.{names[name]}"] = a
    return {name: torch.tensor(np.ascontiguousarray(a)) for name, a in out.items()}


def compare(what, theirs, ours):
    theirs = theirs.detach().numpy()
    difference = float(np.abs(theirs - ours).max())
    print(f"{what}: {ours.size} predictions from {ours.min():.4f} to {ours.max():.4f}, largest difference {difference:.1e}")
    if np.ptp(ours) < 1e-2:
        sys.exit("the predictions are all alike, so this shows nothing")
    return difference


def main(nnc):
    nnc = str(pathlib.Path(nnc).resolve())
    print(f"torch {torch.__version__}, safetensors {safetensors.__version__}")
    torch.manual_seed(3)
    r = np.random.default_rng(5)
    rows, labels = r.normal(0, 1, (EXAMPLES, 96)).astype(np.float32), r.integers(0, 3, EXAMPLES)
    x, worst = torch.tensor(rows), 0.0
    with tempfile.TemporaryDirectory() as temporary:
        folder = pathlib.Path(temporary)
        text = "label," + ",".join(f"x{i}" for i in range(96)) + "\n"
        (folder / "rows.csv").write_text(text + "".join(f"{k}," + ",".join(repr(float(v)) for v in row) + "\n" for k, row in zip(labels, rows)))
        (folder / "rows.json").write_text("".join(json.dumps({"x": row.tolist()}) + "\n" for row in rows))

        def run(*arguments):
            done = subprocess.run([nnc, *arguments], cwd=folder, capture_output=True, text=True)
            if done.returncode:
                sys.exit(f"{arguments}\n{done.stdout}{done.stderr}")
            return done.stdout

        def predict(program, weights, *more):
            lines = run("predict", program, "--weights", weights, "--json", *more, "rows.json").splitlines()
            return np.array([json.loads(line)["output"] for line in lines])

        for make in (Conv, Recurrent):
            name, module = make.__name__.lower(), make()
            for kind, load in (("safetensors", load_file), ("npz", lambda path: dict(np.load(path)))):
                saved = f"{name}.{kind}"
                (folder / f"{name}.nn").write_text(PROGRAMS[name] + TRAIN.replace("SAVE", saved))
                run("run", f"{name}.nn")
                missing, extra = module.load_state_dict(state(load(folder / saved)), strict=False)
                if extra or any(not m.endswith("num_batches_tracked") for m in missing):
                    sys.exit(f"{saved}: missing {missing}, left {extra}")
                module.eval()
                worst = max(worst, compare(f"nnc's {saved} in PyTorch", module(x), predict(f"{name}.nn", saved)))
            module.train()
            optimizer = torch.optim.Adam(module.parameters(), 0.01)
            for _ in range(10):
                optimizer.zero_grad()
                nn.functional.nll_loss(module(x).log(), torch.tensor(labels)).backward()
                optimizer.step()
            module.eval()
            dict_ = module.state_dict()
            save_file(dict_, folder / "state.safetensors")
            worst = max(worst, compare(f"PyTorch's {name} in nnc, by name", module(x), predict(f"{name}.nn", "state.safetensors")))
            save_file({k.replace("dense.", "classifier."): v for k, v in dict_.items()}, folder / "other.safetensors")
            ours = predict(f"{name}.nn", "other.safetensors", "--map", "dense=classifier")
            worst = max(worst, compare(f"PyTorch's {name} in nnc, --map", module(x), ours))
    if worst > BOUND:
        sys.exit(f"the largest difference is {worst:.2g}, more than {BOUND}")
    print(f"all within {BOUND}")


if __name__ == "__main__":
    main(*sys.argv[1:])
