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
