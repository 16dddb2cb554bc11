"""Trains small Keras models and keeps how that went, for a test that imports them and trains them in nnc.

Usage: python3 keras_training.py conformance/testdata/interchange/training

NAME.keras is the model before its training. NAME.safetensors has its data (in.0, …, target), the loss of every step of `fit` (losses), which takes all
examples at once, in order, and what the model predicts afterwards (out.0). Both are gzipped. Losses and optimisers: see TestImportTrains.
"""

import gzip
import os
import pathlib
import sys
import tempfile

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("KERAS_BACKEND", "tensorflow")

import keras
import numpy as np
from keras import layers as L
from keras_exchange import write

STEPS = 10
EXAMPLES = 12


def conv():
    model = keras.Sequential(
        [
            L.Input((10, 9, 3)),
            L.Conv2D(6, 3, padding="same", use_bias=False),
            L.BatchNormalization(momentum=0.8),
            L.Activation("relu"),
            L.MaxPooling2D(2),
            L.Conv2D(8, 3, activation="relu"),
            L.BatchNormalization(momentum=0.8),
            L.Flatten(),
            L.Dense(3, activation="softmax"),
        ],
        name="conv",
    )
    return model, keras.optimizers.SGD(0.02, momentum=0.9), "categorical_crossentropy"


def residual():
    image, numbers = L.Input((8, 8, 2), name="image"), L.Input((5,), name="numbers")
    x = L.Conv2D(4, 3, padding="same", activation="elu")(image)
    x = L.Add()([x, L.Conv2D(4, 3, padding="same", activation="tanh")(x)])
    both = L.Concatenate()([L.GlobalAveragePooling2D()(x), L.Dense(6, activation="relu")(numbers)])
    model = keras.Model([image, numbers], L.Dense(2)(L.Dense(8, activation="swish")(both)), name="residual")
    return model, keras.optimizers.Adam(0.01), "mean_squared_error"


def recurrent():
    model = keras.Sequential(
        [
            L.Input((7,), dtype="int32"),
            L.Embedding(11, 6),
            L.LSTM(5, return_sequences=True),
            L.Bidirectional(L.GRU(4)),
            L.Dense(1, activation="sigmoid"),
        ],
        name="recurrent",
    )
    # Not Adam: with TensorFlow, Keras squares the gradients of an embedding row once for each place that it was read at, not their sum.
    return model, keras.optimizers.SGD(1.0, momentum=0.9), "binary_crossentropy"


def target(r, loss, units):
    if loss == "categorical_crossentropy":
        return np.eye(units, dtype=np.float32)[r.integers(0, units, EXAMPLES)]
    if loss == "binary_crossentropy":
        return r.integers(0, 2, (EXAMPLES, units)).astype(np.float32)
    return r.normal(0, 1, (EXAMPLES, units)).astype(np.float32)


def main(folder):
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    print(f"keras {keras.__version__}, {keras.backend.backend()}")
    for make in (conv, residual, recurrent):
        keras.utils.set_random_seed(3)
        r = np.random.default_rng(5)
        model, optimizer, loss = make()
        name = make.__name__
        with tempfile.TemporaryDirectory() as temporary:
            path = pathlib.Path(temporary) / "model.keras"
            model.save(path)
            (folder / f"{name}.keras.gz").write_bytes(gzip.compress(path.read_bytes(), mtime=0))
        inputs = []
        for t in model.inputs:
            shape = (EXAMPLES, *t.shape[1:])
            inputs.append(r.integers(0, 11, shape).astype(np.int32) if t.dtype == "int32" else r.normal(0, 1, shape).astype(np.float32))
        y = target(r, loss, model.output_shape[-1])
        x = inputs if len(inputs) > 1 else inputs[0]
        first = model.predict(x, verbose=0)
        model.compile(optimizer, loss)
        losses = model.fit(x, y, batch_size=EXAMPLES, epochs=STEPS, shuffle=False, verbose=0).history["loss"]
        out = model.predict(x, verbose=0)
        print(f"{name:12} loss {losses[0]:.4f} to {losses[-1]:.4f}, predictions moved by up to {np.abs(out - first).max():.2g}")
        tensors = {f"in.{i}": a for i, a in enumerate(inputs)} | {"target": y, "losses": np.array(losses), "out.0": out}
        write(folder / f"{name}.safetensors.gz", tensors)


if __name__ == "__main__":
    main(*sys.argv[1:])
