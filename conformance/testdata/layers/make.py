"""Makes the files of this folder from the goldens that Keras 3.15.1 (TensorFlow 2.21.0) and PyTorch computed.

Usage: python3 make.py GOLDENS

GOLDENS is the folder that holds index_keras.json and index_torch.json. The tensors of all cases are put into one compressed
safetensors file a framework, as CASE/TENSOR; cases.json says which cases there are, in which order, and their tolerances. Numbers that
the goldens have in a case's configuration (targets, rates) become tensors.
"""

import json
import os
import sys
import zlib

import numpy as np

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from make import compress, read, tolerances, write  # noqa: E402


def residual_weights():
    """The case block_residual_add has two convolutions whose parameters share a name, so that only the second ones are in its file.
    All of them were drawn from a generator seeded with the case's name, in this order."""
    r = np.random.RandomState(zlib.crc32(b"block_residual_add") & 0x7FFFFFFF)
    out = {}
    for layer in ("c1", "c2"):
        out[f"{layer}.kernel"] = (r.randn(3, 3, 4, 4) / np.sqrt(36)).astype(np.float32)
        out[f"{layer}.bias"] = (0.2 * r.randn(4)).astype(np.float32)
    return out


def main(goldens):
    cases = []
    for framework in ("keras", "torch"):
        everything = {}
        with open(f"{goldens}/index_{framework}.json") as f:
            index = json.load(f)["cases"]
        for case in index:
            name = case["name"]
            tensors = read(f"{goldens}/{case['file']}")
            if "target" in case["config"]:
                tensors["in.target"] = np.array(case["config"]["target"], np.int32)
            if "lr_at_step_0_to_39" in case:
                tensors["rates"] = np.array(case["lr_at_step_0_to_39"], np.float64)
            if name == "block_residual_add":
                drawn = residual_weights()
                for p in ("kernel", "bias"):
                    assert (drawn[f"c2.{p}"] == tensors.pop(f"param.{p}")).all()
                    for suffix in ("", "@f64"):
                        tensors[f"grad.param.c2.{p}{suffix}"] = tensors.pop(f"grad.param.{p}{suffix}")
                        case["tolerance"].setdefault(f"grad.param.c2.{p}", case["tolerance"].get(f"grad.param.{p}"))
                tensors.update({f"param.{k}": v for k, v in drawn.items()})
                case["tolerance"] = {k: v for k, v in case["tolerance"].items() if v and k not in ("grad.param.kernel", "grad.param.bias")}
            everything.update({f"{name}/{k}": v for k, v in tensors.items()})
            entry = {"name": name, "framework": framework, "kind": case["kind"], "tolerance": tolerances(case)}
            if case.get("training"):
                entry["training"] = True
            cases.append(entry)
        write(f"{framework}.safetensors.gz", everything)
    compress("cases.json.gz", json.dumps(cases, indent=1).encode())


if __name__ == "__main__":
    main(sys.argv[1])
