"""Makes the files of this folder from the goldens that Keras 3.15.1 (TensorFlow 2.21.0) computed.

Usage: python3 make.py GOLDENS

GOLDENS holds the folders article and catdog. Tensors are kept as they are, in safetensors files with shorter names, compressed;
README.md says what is in them. Of large tensors in double precision every eighth element is kept: the files are to be small.
"""

import gzip
import io
import json
import os
import shutil
import struct
import sys

import h5py
import numpy as np

TYPES = {"F32": "<f4", "F64": "<f8", "U8": "u1", "I32": "<i4", "I64": "<i8"}
LARGE = 4096  # elements


def read(path):
    with open(path, "rb") as f:
        data = f.read()
    (n,) = struct.unpack("<Q", data[:8])
    header, data = json.loads(data[8 : 8 + n]), data[8 + n :]
    return {
        name: np.frombuffer(data[slice(*e["data_offsets"])], TYPES[e["dtype"]]).reshape(e["shape"])
        for name, e in header.items()
        if name != "__metadata__"
    }


def compress(path, data):
    with open(path, "wb") as f, gzip.GzipFile("", "wb", 9, f, mtime=0) as z:
        z.write(data)


def write(path, tensors):
    header, parts, at = {}, [], 0
    for name in sorted(tensors):
        a = np.ascontiguousarray(tensors[name])
        kind = next(k for k, v in TYPES.items() if np.dtype(v) == a.dtype)
        raw = a.tobytes()
        header[name] = {"dtype": kind, "shape": list(tensors[name].shape), "data_offsets": [at, at + len(raw)]}
        parts.append(raw)
        at += len(raw)
    text = json.dumps(header, separators=(",", ":")).encode()
    compress(path, struct.pack("<Q", len(text)) + text + b"".join(parts))


def thin(tensors):
    """Keeps every eighth element of large tensors in double precision; their names end in @f64/8 then."""
    out = {}
    for name, a in tensors.items():
        if name.endswith("@f64") and a.size > LARGE:
            out[name + "/8"] = a.reshape(-1)[::8]
        else:
            out[name] = a
    return out


def tolerances(case):
    return {name: [t["atol"], t["rtol"]] for name, t in case["tolerance"].items()}


def stripped(src, dst):
    """Copies a Keras file with the state of the optimizer set to zero, which makes it small when compressed."""
    shutil.copyfile(src, "tmp.h5")
    os.chmod("tmp.h5", 0o644)
    with h5py.File("tmp.h5", "r+") as f:

        def clear(name, node):
            if isinstance(node, h5py.Dataset) and name.startswith("optimizer"):
                node[...] = 0

        f.visititems(clear)
    with open("tmp.h5", "rb") as f:
        compress(dst, f.read())
    os.remove("tmp.h5")


def main(goldens):
    tolerance = {}
    tensors = {}
    with open(f"{goldens}/article/index.json") as f:
        for case in json.load(f)["cases"]:
            name = case["name"]
            for k, v in read(f"{goldens}/article/{case['file']}").items():
                tensors[f"{name}/{k}"] = v
            for k, v in tolerances(case).items():
                tolerance[f"{name}/{k}"] = v
    write("article.safetensors.gz", tensors)

    catdog = f"{goldens}/catdog"
    with open(f"{catdog}/index.json") as f:
        for case in json.load(f)["cases"]:
            for k, v in tolerances(case).items():
                tolerance[f"{case['name']}/{k}"] = v
    write("reduced_steps.safetensors.gz", thin(read(f"{catdog}/reduced_20_adam_steps.safetensors")))
    write("reduced_images.safetensors.gz", read(f"{catdog}/reduced_images.safetensors"))
    write("full.safetensors.gz", thin(read(f"{catdog}/full_catdog.safetensors")))
    stripped(f"{catdog}/model.weights.h5", "model.weights.h5.gz")
    stripped(f"{catdog}/keras2_model.h5", "keras2_model.h5.gz")
    write(
        "trained.safetensors.gz",
        {
            "keras3": read(f"{catdog}/trained.safetensors")["out.test_prediction"],
            "keras2": read(f"{catdog}/keras2_trained.safetensors")["out.test_prediction"],
        },
    )
    with open(f"{catdog}/full_catdog.json") as f:
        full = json.load(f)
    with open("full.json", "w") as f:
        json.dump({k: full[k] for k in ("formula", "params", "images", "tensors", "float32", "float64")}, f, indent=1)
    os.makedirs("images150", exist_ok=True)
    for image in full["images"]:
        shutil.copyfile(f"{catdog}/{image['png']}", image["png"])
        os.chmod(image["png"], 0o644)
    with open("tolerances.json", "w") as f:
        json.dump(tolerance, f, indent=1, sort_keys=True)


if __name__ == "__main__":
    main(sys.argv[1])
