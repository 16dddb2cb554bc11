"""Lets Keras read the files that nnc writes, and compares predictions.

Usage: python3 keras_exchange.py DIR [KEEP]

DIR is what `NNC_WRITE=DIR go test ./conformance -run TestWritten` has filled: NAME.keras, NAME.h5 and NAME.weights.h5 of each program in
conformance/testdata/interchange/written, and NAME.safetensors with inputs and nnc's predictions. Each file is loaded by Keras; the last one's weights
go into the model of the first. Keras's predictions and the configuration that it read are kept in KEEP, if that is given, for the test to compare with.

Exits with 1 if a prediction differs by more than 1e-5.
"""

import gzip
import json
import os
import pathlib
import sys
import zipfile

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("KERAS_BACKEND", "tensorflow")

import keras
import numpy as np

BOUND = 1e-5
TYPES = {"F32": np.float32, "I32": np.int32}


def read(path):
    """The tensors of a safetensors file."""
    data = path.read_bytes()
    n = int.from_bytes(data[:8], "little")
    head = json.loads(data[8 : 8 + n])
    out = {}
    for name, t in head.items():
        if name != "__metadata__":
            lo, hi = t["data_offsets"]
            out[name] = np.frombuffer(data[8 + n + lo : 8 + n + hi], TYPES[t["dtype"]]).reshape(t["shape"])
    return out


def write(path, tensors):
    """Writes float32 tensors as a gzipped safetensors file, whose bytes follow from the numbers alone."""
    head, body = {}, b""
    for name, t in tensors.items():
        t = np.ascontiguousarray(t, np.float32)
        head[name] = {"dtype": "F32", "shape": list(t.shape), "data_offsets": [len(body), len(body) + t.nbytes]}
        body += t.tobytes()
    text = json.dumps(head).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(gzip.compress(len(text).to_bytes(8, "little") + text + body, mtime=0))


def numbered(tensors, kind):
    return [tensors[f"{kind}.{i}"] for i in range(len(tensors)) if f"{kind}.{i}" in tensors]


def predict(model, inputs):
    out = model.predict(inputs if len(inputs) > 1 else inputs[0], verbose=0)
    return out if isinstance(out, (list, tuple)) else [out]


def main(folder, keep=None):
    folder = pathlib.Path(folder)
    print(f"keras {keras.__version__}, {keras.backend.backend()}")
    worst = 0.0
    paths = sorted(folder.glob("*.keras"))
    if not paths:
        sys.exit(f"{folder} holds no .keras files: run NNC_WRITE={folder} go test ./conformance -run TestWritten first")
    for path in paths:
        name = path.stem
        tensors = read(folder / f"{name}.safetensors")
        inputs, ours = numbered(tensors, "in"), numbered(tensors, "nnc")
        whole = keras.models.load_model(path, compile=False)
        theirs = predict(whole, inputs)
        found = {".keras": theirs, ".h5": predict(keras.models.load_model(folder / f"{name}.h5", compile=False), inputs)}
        blank = keras.models.model_from_json(whole.to_json())
        blank.load_weights(folder / f"{name}.weights.h5")
        found[".weights.h5"] = predict(blank, inputs)
        for ext, outputs in found.items():
            if len(outputs) != len(ours):
                sys.exit(f"{name}{ext} has {len(outputs)} outputs, not {len(ours)}")
            difference = max(float(np.abs(a - b).max()) for a, b in zip(ours, outputs))
            spread = min(float(np.ptp(b)) for b in outputs)
            worst = max(worst, difference)
            print(f"{name + ext:28}{type(whole).__name__:12}{len(whole.layers):3} layers   difference {difference:.1e}   spread {spread:.2g}")
            if spread < 1e-3:
                sys.exit("the predictions are all alike, so this shows nothing")
        if keep:
            write(pathlib.Path(keep) / f"{name}.safetensors.gz", {f"out.{i}": y for i, y in enumerate(theirs)})
            config = zipfile.ZipFile(path).read("config.json")
            (pathlib.Path(keep) / f"{name}.json.gz").write_bytes(gzip.compress(config, mtime=0))
    if worst > BOUND:
        sys.exit(f"the largest difference is {worst:.2g}, more than {BOUND}")
    print(f"all within {BOUND}")


if __name__ == "__main__":
    main(*sys.argv[1:])
