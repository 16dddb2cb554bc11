"""Writes the Keras models of conformance/testdata/interchange with what Keras predicts.

Usage: python3 keras_models.py FOLDER

Each model NAME is saved as NAME.keras and NAME.h5; NAME.safetensors has its inputs (in.0, in.1, …, one row an example) and its outputs
(out.0, …). The weights are random, those of normalisations too, so that nothing is hidden by ones and zeros. With tf_keras installed, Keras 2
writes its files as well: NAME.keras2.h5.
"""

import json
import os
import pathlib
import struct
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("KERAS_BACKEND", "tensorflow")

import numpy as np


def write_safetensors(path, tensors):
    header, data = {}, b""
    for name, a in tensors.items():
        kind = {"float32": "F32", "int32": "I32"}[a.dtype.name]
        header[name] = {"dtype": kind, "shape": list(a.shape), "data_offsets": [len(data), len(data) + a.nbytes]}
        data += np.ascontiguousarray(a).tobytes()
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)


def sequential(keras):
    L = keras.layers
    return keras.Sequential(
        [
            L.Input((12, 10, 3)),
            L.Conv2D(4, 3, padding="same", activation="relu", name="first"),
            L.BatchNormalization(epsilon=1e-4),
            L.MaxPooling2D(2),
            L.DepthwiseConv2D((2, 3), depth_multiplier=2),
            L.LeakyReLU(),
            L.SeparableConv2D(5, (1, 2), strides=1, activation="swish"),
            L.ZeroPadding2D(((1, 0), (2, 1))),
            L.Conv2DTranspose(3, 3, strides=2, padding="same"),
            L.AveragePooling2D((2, 3), strides=(2, 1)),
            L.Dropout(0.4),
            L.Flatten(),
            L.Dense(6, activation="tanh", use_bias=False),
            L.Dense(3, activation="softmax"),
        ],
        name="sequential",
    )


def nested(keras):
    L = keras.layers
    encoder = keras.Sequential([L.Input((6,)), L.Dense(5, activation="relu"), L.Dense(4)], name="encoder")
    a = L.Input((4,))
    b = L.Dense(4, activation="gelu", name="inner")(a)
    block = keras.Model(a, L.Add(name="sum")([a, L.LayerNormalization(epsilon=1e-5)(b)]), name="block")
    return keras.Sequential([L.Input((6,)), encoder, block, L.Dense(2)], name="nested")


def functional(keras):
    L = keras.layers
    image, numbers = L.Input((8, 8, 2), name="image"), L.Input((5,), name="numbers")
    x = L.Conv2D(3, 3, activation="elu", name="look")(image)
    y = L.Conv2D(3, 3, padding="same")(x)
    x = L.Add()([x, y])
    x = L.GlobalAveragePooling2D()(x)
    n = L.Dense(3, activation="relu", name="narrow")(numbers)
    both = L.Concatenate()([x, n, L.Multiply()([x, n])])
    kind = L.Dense(4, activation="softmax", name="kind")(both)
    size = L.Dense(1, name="size")(L.Activation("selu")(both))
    return keras.Model([image, numbers], [kind, size], name="functional")


def shared(keras):
    L = keras.layers
    left, right = L.Input((7,), name="left"), L.Input((7,), name="right")
    tower = keras.Sequential([L.Input((7,)), L.Dense(6, activation="relu"), L.Dense(3)], name="tower")
    head = L.Dense(3, name="head")
    a, b = head(tower(left)), head(tower(right))
    return keras.Model([left, right], L.Dense(1, activation="sigmoid", name="same")(L.Subtract(name="difference")([a, b])), name="shared")


def recurrent(keras):
    L = keras.layers
    return keras.Sequential(
        [
            L.Input((9,), dtype="int32"),
            L.Embedding(11, 6, name="words"),
            L.Bidirectional(L.LSTM(4, return_sequences=True), name="both_ways"),
            L.Conv1D(5, 3, padding="causal", activation="relu"),
            L.GRU(4, return_sequences=True),
            L.SimpleRNN(3, return_sequences=True, activation="relu"),
            L.TimeDistributed(L.Dense(4)),
            L.LayerNormalization(),
            L.LSTM(3, go_backwards=True),
            L.Dense(2),
        ],
        name="recurrent",
    )


def attention(keras):
    L = keras.layers
    x = L.Input((6, 8), name="tokens")
    y = L.MultiHeadAttention(2, 3, name="look")(x, x)
    x1 = L.LayerNormalization(epsilon=1e-5, name="norm")(L.Add(name="residual")([x, y]))
    z = L.Dense(8, name="narrow")(L.Dense(10, activation="gelu", name="wide")(x1))
    out = L.GlobalAveragePooling1D()(L.Add(name="residual_1")([x1, z]))
    return keras.Model(x, out, name="attention")


def operations(keras):
    L, ops = keras.layers, keras.ops
    a, b = L.Input((6,)), L.Input((6,))
    tower = L.Dense(5, activation="relu")
    x = ops.abs(tower(a) - tower(b)) / 2 + 1.0
    p, q = ops.split(L.Dense(8)(x), 2, axis=-1)
    return keras.Model([a, b], [L.Dense(1)(ops.sqrt(x) * ops.maximum(x, 0.3)), L.Dot(axes=1)([p, q]), L.Average()([p, q])], name="operations")


def translate(keras):
    L = keras.layers
    source, target = L.Input((5,), dtype="int32"), L.Input((6,), dtype="int32")
    _, h, c = L.LSTM(4, return_state=True)(L.Embedding(11, 5)(source))
    y = L.LSTM(4, return_sequences=True)(L.Embedding(11, 6)(target), initial_state=[h, c])
    return keras.Model([source, target], L.Dense(7, activation="softmax")(y), name="translate")


def steps(keras):
    L = keras.layers
    x = L.Input((7, 3))
    y = L.GRU(4, return_sequences=True)(x)
    return keras.Model(x, L.Dense(2)(L.Concatenate()([y[:, -1], y[:, 0], L.GlobalMaxPooling1D()(y[:, 1:-1])])), name="steps")


def transformer(keras):
    L, ops = keras.layers, keras.ops
    ids = L.Input((7,), dtype="int32")
    x = L.Embedding(11, 6)(ids) + L.Embedding(10, 6)(ops.cumsum(ops.ones_like(ids), axis=1) - 1)
    for _ in range(2):
        y = L.LayerNormalization(epsilon=1e-6)(x)
        x = L.Add()([x, L.MultiHeadAttention(2, 3, dropout=0.1)(y, y, use_causal_mask=True)])
        y = L.Dense(6)(L.Dense(12, activation="gelu")(L.LayerNormalization(epsilon=1e-6)(x)))
        x = L.Add()([x, L.Dropout(0.1)(y)])
    return keras.Model(ids, [L.Dense(3)(x), ops.mean(x, axis=1)], name="transformer")


def unet(keras):
    L = keras.layers
    x = L.Input((8, 8, 1))
    a = L.Conv2D(4, 3, padding="same", activation="relu")(x)
    b = L.Conv2D(6, 3, padding="same", activation="relu")(L.MaxPooling2D()(a))
    c = L.Concatenate(axis=3)([a, L.Conv2DTranspose(4, 2, strides=2, padding="same")(b)])
    s = L.Conv2D(8, 1, activation="hard_sigmoid")(L.GlobalAveragePooling2D(keepdims=True)(c))
    c = L.SpatialDropout2D(0.3)(L.Multiply()([c, s]))
    return keras.Model(x, L.Conv2D(1, 1, activation="sigmoid")(c), name="unet")


def cells(keras):
    L = keras.layers
    return keras.Sequential(
        [
            L.Input((6, 4)),
            L.RNN(L.LSTMCell(5), return_sequences=True),
            L.RNN([L.GRUCell(4), L.GRUCell(3)], return_sequences=True),
            L.Bidirectional(L.GRU(3, reset_after=False, return_sequences=True), merge_mode="ave"),
            L.Bidirectional(L.SimpleRNN(3), merge_mode="mul"),
            L.RepeatVector(3),
            L.RNN(L.SimpleRNNCell(3), return_sequences=True),
            L.Permute((2, 1)),
            L.Flatten(),
            L.Dense(2),
        ],
        name="cells",
    )


def distributed(keras):
    L = keras.layers
    frame = keras.Sequential([L.Input((4, 4, 3)), L.Conv2D(3, 3, activation="relu"), L.GlobalAveragePooling2D(), L.Dense(4)], name="frame")
    return keras.Sequential(
        [L.Input((4, 8, 8, 2)), L.TimeDistributed(L.Conv2D(3, 1, activation="relu")), L.TimeDistributed(L.MaxPooling2D()), L.TimeDistributed(frame), L.LSTM(5), L.Dense(2)],
        name="distributed",
    )


def regularised(keras):
    L = keras.layers
    return keras.Sequential(
        [
            L.Input((8,)),
            L.Normalization(),
            L.GaussianNoise(0.1),
            L.Dense(5, kernel_regularizer="l2"),
            L.ReLU(max_value=3),
            L.BatchNormalization(scale=False),
            L.Normalization(mean=0.5, variance=2.0),
            L.Dense(2),
            L.ReLU(negative_slope=0.1),
        ],
        name="regularised",
    )


def attentions(keras):
    L = keras.layers
    q, v = L.Input((5, 6)), L.Input((7, 6))
    return keras.Model([q, v], L.Concatenate(axis=1)([L.Attention()([q, v]), L.GroupQueryAttention(3, 4, 2)(q, v), L.MultiHeadAttention(2, 2)(q, v)]), name="attentions")


def write(keras, folder, make, suffixes):
    keras.utils.set_random_seed(3)
    model = make(keras)
    r = np.random.default_rng(5)
    values = []
    for w in model.weights:
        fan_in = int(np.prod(w.shape[:-1]))
        a = r.normal(0, min(0.4, 1.5 / fan_in**0.5), w.shape)  # so that values stay of one size from layer to layer
        if "variance" in w.name:
            a = 0.5 + np.abs(a)
        if "gamma" in w.name:
            a += 1
        values.append(a.astype(np.float32))
    model.set_weights(values)
    for layer in model.layers:
        if hasattr(layer, "finalize_state"):  # Normalization computes with copies of its weights
            layer.finalize_state()
    tensors = {}
    inputs = []
    for i, t in enumerate(model.inputs):
        shape = (4, *t.shape[1:])
        integers = "int" in getattr(t.dtype, "name", str(t.dtype))
        a = r.integers(0, 11, shape).astype(np.int32) if integers else r.normal(0, 1, shape).astype(np.float32)
        inputs.append(a)
        tensors[f"in.{i}"] = a
    out = model.predict(inputs if len(inputs) > 1 else inputs[0], verbose=0)
    for i, a in enumerate(out if isinstance(out, (list, tuple)) else [out]):
        tensors[f"out.{i}"] = np.asarray(a, np.float32)
    name = make.__name__
    for suffix in suffixes:
        model.save(folder / (name + suffix))
    return name, tensors


def main(folder):
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    import keras

    print("keras", keras.__version__)
    names = (
        *(sequential, nested, functional, shared, recurrent, attention, operations, translate, steps, transformer, unet, cells),
        *(distributed, regularised, attentions),
    )
    for make in names:
        name, tensors = write(keras, folder, make, (".keras", ".h5"))
        write_safetensors(folder / f"{name}.safetensors", tensors)
    try:
        import tf_keras
    except ImportError:
        return
    print("tf_keras", tf_keras.__version__)
    for make in (sequential, functional, shared, recurrent):
        name, tensors = write(tf_keras, folder, make, (".keras2.h5",))
        write_safetensors(folder / f"{name}.keras2.safetensors", tensors)


if __name__ == "__main__":
    main(*sys.argv[1:])
