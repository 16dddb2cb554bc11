"""Trains the article's network by Keras's fit from a folder of photographs and prints the time of each epoch.

    python keras_fit.py FOLDER [EPOCHS [STEPS [THREADS]]]

FOLDER holds train and validation. The counterpart of

    nnc run examples/catdog/catdog.nn --set image_size=150 --set steps=STEPS --epochs EPOCHS --no-save
"""
import os
import resource
import sys
import time

folder = sys.argv[1]
epochs, steps, threads = [int(v) for v in sys.argv[2:5]] + [4, 20, os.cpu_count()][len(sys.argv[2:5]):]
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import tensorflow as tf
from tensorflow.keras import callbacks, layers, models, optimizers
from tensorflow.keras.preprocessing.image import ImageDataGenerator

tf.config.threading.set_intra_op_parallelism_threads(threads)
tf.config.threading.set_inter_op_parallelism_threads(1)
size, batch = 150, 32


def photos(split):
    return ImageDataGenerator(rescale=1 / 255).flow_from_directory(f"{folder}/{split}", (size, size), batch_size=batch, class_mode="binary")


class Times(callbacks.Callback):
    def on_epoch_begin(self, epoch, logs=None):
        self.began = time.time()

    def on_test_begin(self, logs=None):
        self.trained = time.time()

    def on_epoch_end(self, epoch, logs=None):
        now = time.time()
        print(f"epoch {epoch + 1}: {1000 * (self.trained - self.began) / steps:.1f} ms a step, {1000 * (now - self.began) / steps:.1f} with validation", flush=True)


model = models.Sequential([layers.Input((size, size, 3))])
for filters in (32, 64, 128):
    model.add(layers.Conv2D(filters, 3, activation="relu"))
    model.add(layers.MaxPooling2D(2))
model.add(layers.Flatten())
model.add(layers.Dense(512, activation="relu"))
model.add(layers.Dense(1, activation="sigmoid"))
model.compile(optimizers.Adam(0.001), "binary_crossentropy", metrics=["accuracy"])


def repeated(flow):
    while True:  # a pass of the folder is shorter than an epoch
        yield from (flow[i] for i in range(len(flow)))
        flow.on_epoch_end()


kind = (tf.TensorSpec((None, size, size, 3), tf.float32), tf.TensorSpec((None,), tf.float32))
train = tf.data.Dataset.from_generator(lambda: repeated(photos("train")), output_signature=kind).prefetch(2)
model.fit(train, steps_per_epoch=steps, epochs=epochs, validation_data=photos("validation"), callbacks=[Times()], verbose=0)
print(f"peak {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MiB")
