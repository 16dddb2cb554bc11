"""Writes mixed.h5 and mixed.weights.h5 with Keras 3. Run in this folder: python3 make.py

The model has what makes names difficult: a model in a model, layers with cells, a random generator, more than ten layers
of a class. Weight number i of model.weights is full of i + 0.5.
"""

import keras
import numpy as np
from keras import layers

inner = keras.Sequential([layers.Dense(3), layers.Dense(3)], name="inner")
model = keras.Sequential(
    [
        keras.Input((4,)),
        layers.Embedding(7, 5, name="emb"),
        layers.Bidirectional(layers.LSTM(2, return_sequences=True), name="bi"),
        layers.LSTM(3, return_sequences=True, name="rec"),
        layers.BatchNormalization(name="bn"),
        layers.Dropout(0.5),
        inner,
        layers.GRU(2, name="gru"),
        layers.LayerNormalization(name="ln"),
        *[layers.Dense(2, name=f"d{i}") for i in range(12)],
    ],
    name="mixed",
)
model.set_weights([np.full(w.shape, i + 0.5) for i, w in enumerate(model.get_weights())])
for i, w in enumerate(model.weights):
    print(i, w.path, w.shape)
model.save("mixed.h5")
model.save_weights("mixed.weights.h5")

# Arrays of NumPy: element i is i - 2.5, or i - 2 where it is a whole number, in 2 rows of 3.
a = np.arange(6, dtype="f8").reshape(2, 3) - 2.5
arrays = {f"float/{kind}": a.astype(kind) for kind in ["f2", "f4", "f8"]}
arrays |= {f"big/{kind}": a.astype(">" + kind) for kind in ["f2", "f4", "f8", "i4"]}
arrays |= {f"int/{kind}": (a + 0.5).astype(kind) for kind in ["i1", "i2", "i4", "i8"]}
arrays |= {"columns/f4": np.asfortranarray(a.astype("f4")), "bool/b1": a > 0, "scalar/f4": np.float32(1.5)}
np.savez_compressed("named.npz", **arrays)
np.savez("list.npz", np.ones((3, 2), "f4"), np.zeros(2, "f4"), np.full((2, 1), 2, "f4"), np.full(1, 3, "f4"))
