"""The kit's weights and data as files for nnc: safetensors under the names of the .nn programs beside this file.

    python export.py FOLDER

For each workload: NAME.safetensors, the weights for `--weights`; NAME-PHASE-bBATCH.safetensors, the examples for `--inputs`. numpy only.
"""
import json
import os
import sys

import numpy as np

import workloads as W

# The names of the parameters in the .nn programs, of those that the kit calls otherwise.
NAMES = {
    "catdog": {"c1": "conv2d", "c2": "conv2d_1", "c3": "conv2d_2", "d1": "dense", "d2": "dense_1"},
    "mnistmlp": {"d1": "dense", "d2": "dense_1", "d3": "dense_2"},
    "charlstm": {"l1": "lstm_1.lstm_cell", "l2": "lstm_2.lstm_cell", "o": "output"},
}
PARTS = {"w": "kernel", "b": "bias", "x": "kernel", "h": "recurrent_kernel"}
FIELDS = {"catdog": ("image", "label"), "mnistmlp": ("image", "label"), "charlstm": ("text", "next"), "gptmini": ("text", "next")}
CELLS = [("catdog", "infer", 1, 4), ("catdog", "infer", 32, 4), ("catdog", "train", 32, 4), ("mnistmlp", "infer", 1, 32),
         ("mnistmlp", "train", 128, 32), ("charlstm", "infer", 1, 32), ("charlstm", "train", 50, 32), ("gptmini", "infer", 1, 32),
         ("gptmini", "train", 12, 32)]


def name(w, n):
    if w != "gptmini":
        return f"{NAMES[w][n[:-1]]}.{PARTS[n[-1]]}"
    if n[0] != "h":
        return "transformer." + n
    block, part = n.split(".")
    return "transformer.block" + ("" if block == "h0" else "_" + block[1:]) + "." + part


def save(path, tensors):
    header, at = {}, 0
    for n, t in tensors.items():
        header[n] = {"dtype": {"float32": "F32", "int32": "I32"}[t.dtype.name], "shape": t.shape, "data_offsets": [at, at + t.nbytes]}
        at += t.nbytes
    text = json.dumps(header).encode()
    with open(path + ".tmp", "wb") as f:
        f.write(len(text).to_bytes(8, "little") + text)
        for t in tensors.values():
            f.write(np.ascontiguousarray(t).tobytes())
    os.replace(path + ".tmp", path)


def examples(w, phase, b, n):
    x, y = zip(*W.batches(w, phase, b, n))
    out = {FIELDS[w][0]: np.concatenate(x)}
    if w == "mnistmlp":
        out["image"] = out["image"].reshape(-1, 28, 28, 1)
    if w == "charlstm" and phase == "infer":
        out["states"] = np.zeros((n * b, 4, W.HID), np.float32)
    if phase == "train":
        out[FIELDS[w][1]] = np.concatenate(y).astype(np.int32)
        if w == "catdog":
            out["label"] = out["label"].reshape(-1)
    return out


if __name__ == "__main__":
    folder = sys.argv[1]
    os.makedirs(folder, exist_ok=True)
    for w in W.NAMES:
        save(f"{folder}/{w}.safetensors", {name(w, n): t for n, t in W.params(w).items()})
    for w, phase, b, n in CELLS:
        save(f"{folder}/{w}-{phase}-b{b}.safetensors", examples(w, phase, b, n))
