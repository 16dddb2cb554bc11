"""Makes networks.safetensors.gz and tolerances.json from the goldens that PyTorch 2.15.0 computed.

Usage: python3 make.py GOLDENS

GOLDENS is the folder that holds index.json. The tensors of all networks are put into one compressed safetensors file, as NETWORK/TENSOR.
"""

import json
import os
import sys

import numpy as np

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from make import read, tolerances, write  # noqa: E402


def main(goldens):
    everything, tolerance = {}, {}
    with open(f"{goldens}/index.json") as f:
        index = json.load(f)["cases"]
    for case in index:
        name = case["name"].removeprefix("net_")
        for k, v in read(f"{goldens}/{case['file']}").items():
            everything[f"{name}/{k}"] = v.astype(np.int32) if v.dtype == np.int64 else v
        for k, v in case["tolerance"].items():
            if v.get("unstable") or case.get("unstable"):
                raise SystemExit(f"{name}/{k} is not to be compared")
        for k, v in tolerances(case).items():
            tolerance[f"{name}/{k}"] = v
    write("networks.safetensors.gz", everything)
    with open("tolerances.json", "w") as f:
        json.dump(tolerance, f, indent=1, sort_keys=True)


if __name__ == "__main__":
    main(sys.argv[1])
