"""Writes signatures.json: the arguments of Keras's public classes and functions with their defaults, as inspect.signature gives them.

Usage: python make.py > signatures.json, with Keras 3.15.
"""

import inspect
import json

import keras

MODULES = {
    "activations": keras.activations,
    "initializers": keras.initializers,
    "layers": keras.layers,
    "losses": keras.losses,
    "metrics": keras.metrics,
    "optimizers": keras.optimizers,
    "schedules": keras.optimizers.schedules,
}


def arguments(thing):
    of = thing.__init__ if inspect.isclass(thing) else thing
    result = []
    for p in inspect.signature(of).parameters.values():
        if p.name == "self" or p.kind in (p.VAR_POSITIONAL, p.VAR_KEYWORD):
            continue
        default = None if p.default is p.empty else repr(p.default)
        result.append({"name": p.name, "default": default} if default is not None else {"name": p.name})
    return result


signatures = {}
for where, module in MODULES.items():
    for name in dir(module):
        thing = getattr(module, name)
        if name.startswith("_") or not callable(thing) or name in ("get", "serialize", "deserialize"):
            continue
        signatures[where + "." + name] = arguments(thing)

print("{")
print(f' "keras": {json.dumps(keras.__version__)},')
print(' "signatures": {')
print(",\n".join(f"  {json.dumps(n)}: {json.dumps(a)}" for n, a in sorted(signatures.items())))
print(" }\n}")
