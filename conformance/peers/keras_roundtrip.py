"""Shows that Keras and nnc read each other's weight files and predict the same.

Usage: python3 keras_roundtrip.py NNC EXAMPLE

NNC is the nnc program, EXAMPLE the folder examples/catdog. Both directions are tried on photographs of the example's test folder, which are
decoded once and given to both as PNG files, so that decoders do not matter:

1. nnc trains the example for a few steps and saves model.h5. Keras loads it whole (load_model), and its weights into a model of its own
   (load_weights).
2. Keras trains the same network for a few steps and saves it as model.h5 and as model.weights.h5. nnc predicts with each.

Exits with 1 if a prediction differs by more than 1e-5.
"""

import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("KERAS_BACKEND", "tensorflow")

import keras
import numpy as np
import tensorflow as tf

BOUND = 1e-5
HIDDEN = 512

# The example's model alone: without class names, predict prints the number itself, with six digits.
PROGRAM = """
model CatDog(image: f32[{size}, {size}, 3]) -> f32[1] {{
    image / 255
    |> Conv2D(32, 3, relu) |> MaxPool2D(2)
    |> Conv2D(64, 3, relu) |> MaxPool2D(2)
    |> Conv2D(128, 3, relu) |> MaxPool2D(2)
    |> Flatten()
    |> Dense({hidden}, relu)
    |> Dense(1, sigmoid)
}}
"""


def build(size):
    layers = keras.layers
    return keras.Sequential(
        [
            keras.Input((size, size, 3)),
            layers.Conv2D(32, 3, activation="relu"),
            layers.MaxPooling2D(2),
            layers.Conv2D(64, 3, activation="relu"),
            layers.MaxPooling2D(2),
            layers.Conv2D(128, 3, activation="relu"),
            layers.MaxPooling2D(2),
            layers.Flatten(),
            layers.Dense(HIDDEN, activation="relu"),
            layers.Dense(1, activation="sigmoid"),
        ]
    )


def photographs(example, folder, size):
    """Writes photographs as PNG files and returns their paths and pixels, 0 to 255."""
    paths, pixels = [], []
    for kind in ("cats", "dogs"):
        for jpeg in sorted((example / "data" / "test" / kind).glob("*.jpg"))[:20]:
            image = tf.io.decode_jpeg(jpeg.read_bytes())
            image = tf.cast(tf.image.resize(image, (size, size), method="nearest"), tf.uint8)
            path = folder / f"{kind}_{jpeg.stem}.png"
            path.write_bytes(tf.io.encode_png(image).numpy())
            paths.append(path)
            pixels.append(image.numpy())
    return paths, np.stack(pixels)


class Peers:
    def __init__(self, nnc, folder, size):
        self.nnc, self.folder, self.worst = nnc, folder, 0.0
        self.env = os.environ | {"NNC_ALLOW": str(pathlib.Path(sys.argv[2]).resolve())}  # where the link to the photographs leads
        self.program = folder / "model.nn"
        self.program.write_text(PROGRAM.format(size=size, hidden=HIDDEN))

    def run(self, *args):
        return subprocess.run([self.nnc, *map(str, args)], cwd=self.folder, check=True, capture_output=True, text=True, env=self.env).stdout

    def predict(self, weights, paths):
        """What nnc predicts with a weight file."""
        lines = self.run("predict", self.program, "--weights", weights, *paths).splitlines()
        return np.array([float(line.split()[-1]) for line in lines])

    def compare(self, what, ours, keras_says):
        difference = float(np.abs(ours - keras_says.reshape(-1)).max())
        spread = float(np.ptp(ours))
        self.worst = max(self.worst, difference)
        print(f"{what}: {len(ours)} predictions from {ours.min():.4f} to {ours.max():.4f}, largest difference {difference:.2g}")
        if spread < 1e-3:
            sys.exit("the predictions are all alike, so this shows nothing")


def main(nnc, example):
    nnc, example = pathlib.Path(nnc).resolve(), pathlib.Path(example).resolve()
    print(f"keras {keras.__version__}, tensorflow {tf.__version__}")
    worst = 0.0
    for size in (32, 64):
        with tempfile.TemporaryDirectory() as name:
            folder = pathlib.Path(name)
            shutil.copyfile(example / "catdog.nn", folder / "catdog.nn")
            (folder / "data").symlink_to(example / "data")
            peers = Peers(nnc, folder, size)
            paths, pixels = photographs(example, folder, size)
            x = pixels.astype(np.float32) / np.float32(255)

            peers.run("run", "catdog.nn", "--epochs", "1", "--set", "steps=20", "--set", f"image_size={size}")
            written = folder / "model.h5"
            ours = peers.predict(written, paths)
            loaded = keras.models.load_model(written)
            peers.compare(f"{size}x{size}, nnc's model.h5, load_model", ours, loaded.predict(x, verbose=0))
            own = build(size)
            own.load_weights(written)
            peers.compare(f"{size}x{size}, nnc's model.h5, load_weights", ours, own.predict(x, verbose=0))

            keras.utils.set_random_seed(1)
            model = build(size)
            model.compile(optimizer="adam", loss="binary_crossentropy")
            model.fit(x, np.repeat([0.0, 1.0], 20), batch_size=8, epochs=3, verbose=0)
            expected = model.predict(x, verbose=0)
            for kept, save in (("keras.h5", model.save), ("keras.weights.h5", model.save_weights)):
                save(folder / kept)
                peers.compare(f"{size}x{size}, Keras's {kept}, nnc predict", peers.predict(folder / kept, paths), expected)
            worst = max(worst, peers.worst)
    if worst > BOUND:
        sys.exit(f"the largest difference is {worst:.2g}, more than {BOUND}")
    print(f"all within {BOUND}")


if __name__ == "__main__":
    main(*sys.argv[1:])
