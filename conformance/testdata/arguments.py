"""Prints what Keras 3 makes of arguments that TestKerasArguments sets: python3 arguments.py"""

import keras
import numpy as np

for name, optimizer in {
    "adamw": keras.optimizers.AdamW(0.1, weight_decay=0.02, amsgrad=True),
    "ftrl": keras.optimizers.Ftrl(0.1, weight_decay=0.05),
}.items():
    w = keras.Variable(np.array([1.0, -2.0, 3.0], np.float32))
    optimizer.build([w])
    for step in range(5):
        optimizer.apply([np.array([1.0, -1.0, 2.0], np.float32) * np.float32(3 - 0.7 * step)], [w])
    print(name, [float(x) for x in np.asarray(w)])
rate = keras.optimizers.schedules.PolynomialDecay(0.1, 4, 0.01, power=2.0, cycle=True)
print("polynomial_decay", [float(rate(step)) for step in (0, 1, 4, 5, 8, 11)])
t, p = np.array([[1.0, 0.0, 1.0, 0.0]], np.float32), np.array([[0.9, 0.2, 0.4, 0.7]], np.float32)
focal = lambda p, **k: float(np.asarray(keras.losses.binary_focal_crossentropy(t, p, **k))[0])
print("focal", focal(p), focal(p, gamma=1.5, apply_class_balancing=True, alpha=0.4), focal(p * 4 - 2, from_logits=True), focal(p, label_smoothing=0.2))
