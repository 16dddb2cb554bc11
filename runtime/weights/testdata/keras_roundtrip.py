"""Checks that Keras 3 reads a model that nnc wrote, and predicts the same.

Usage: python3 keras_roundtrip.py model.h5 examples.safetensors

The examples hold x, a batch of inputs, and y, what nnc predicted for it. The model is loaded twice: whole, and as weights into
a fresh model of the same architecture.
"""

import json
import struct
import sys

import keras
import numpy as np


def read_safetensors(path):
    with open(path, "rb") as f:
        data = f.read()
    (n,) = struct.unpack("<Q", data[:8])
    header, data = json.loads(data[8 : 8 + n]), data[8 + n :]
    types = {"F32": "<f4", "F64": "<f8", "I32": "<i4"}
    return {
        name: np.frombuffer(data[slice(*e["data_offsets"])], types[e["dtype"]]).reshape(e["shape"])
        for name, e in header.items()
        if name != "__metadata__"
    }


def main(model_path, examples_path):
    examples = read_safetensors(examples_path)
    loaded = keras.models.load_model(model_path, compile=False)
    fresh = keras.models.clone_model(loaded)
    fresh.load_weights(model_path)
    for how, model in [("load_model", loaded), ("load_weights", fresh)]:
        y = model.predict(examples["x"], verbose=0)
        worst = np.abs(y - examples["y"]).max()
        print(f"{how}: largest difference {worst:.3g}")
        # Sums in another order differ in the last bits of float32.
        np.testing.assert_allclose(y, examples["y"], rtol=1e-5, atol=1e-6)


if __name__ == "__main__":
    main(*sys.argv[1:])
