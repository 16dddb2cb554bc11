"""Makes metrics.json.gz: random cases of the library's metrics with what Keras 3 says of them, in single and in double precision.

    python3 metrics.py            Keras 3 with TensorFlow

Where Keras has no such metric, the means over classes of precision and recall, the definition is scikit-learn's with zero_division=0 and all classes as
labels. Probabilities are random, or multiples of an eighth (ties), or at the thresholds of AUC; targets leave out classes, or have one only.
"""

import gzip
import json
import os

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
import keras
import numpy as np


def measured(metric, target, p, cuts):
    """The value after several batches."""
    for lo, hi in zip(cuts, cuts[1:]):
        metric.update_state(target[lo:hi], p[lo:hi])
    return np.asarray(keras.ops.convert_to_numpy(metric.result()), np.float64)


def scikit(kind, average, p, hot):
    """precision_score and recall_score of the greatest output."""
    yes = np.eye(p.shape[1])[np.argmax(p, 1)]
    hits, called, positives = (yes * hot).sum(0), yes.sum(0), hot.sum(0)
    of = called if kind == "precision" else positives
    if average == "micro":
        return np.float64(hits.sum() / max(of.sum(), 1))
    each = hits / np.maximum(of, 1)
    return {"none": each, "macro": each.mean(), "weighted": (each * positives).sum() / max(positives.sum(), 1)}[average]


def case(rng, n, labels):
    count = int(rng.integers(1, 40))
    shape = (count, n)
    kind = rng.integers(0, 4)
    if kind == 0:
        p = rng.random(shape)
    elif kind == 1:
        p = rng.integers(0, 9, shape) / 8  # ties, and values at a threshold of 0.5
    elif kind == 2:
        p = rng.integers(0, 200, shape) / 199  # at the thresholds of AUC
    else:
        p = rng.integers(0, 2, shape) * 1.0
    if kind != 2 and n > 1 and not labels and rng.random() < 0.5:
        p = p / np.maximum(p.sum(1, keepdims=True), 1e-9)
    p = p.astype(np.float32).astype(np.float64)
    if labels:
        target = rng.integers(0, 2, shape)
        if rng.random() < 0.3:
            target[:, rng.integers(0, n)] = rng.integers(0, 2)
    else:
        known = rng.permutation(max(n, 2))[: rng.integers(1, max(n, 2) + 1)]
        target = known[rng.integers(0, len(known), count)]
    return p, target, sorted({0, count, *rng.integers(1, count + 1, 2).tolist()})


def values(p, target, cuts, n, labels, dtype, each):
    m = keras.metrics
    p = p.astype(dtype)
    if labels:
        hot = target.astype(dtype)
    elif n == 1:
        hot = target.reshape(-1, 1).astype(dtype)
    else:
        hot = np.eye(n)[target].astype(dtype)
    out = {}
    add = lambda name, metric, t=hot: out.__setitem__(name, measured(metric, t, p, cuts).tolist())
    for kind, make in (("precision", m.Precision), ("recall", m.Recall)):
        add(kind, make())
        add(kind + "_at", make(thresholds=0.25))
        if n > 1:
            add(kind + "_top2", make(top_k=2))
            add(kind + "_of1", make(class_id=1))
            add(kind + "_top1_of0", make(top_k=1, class_id=0))
            if not labels:
                for average in ("none", "micro", "macro", "weighted"):
                    out[f"{kind}_{average}"] = np.asarray(scikit(kind, average, p, hot)).tolist()
    if n > 1:
        for average in (None, "micro", "macro", "weighted"):
            add(f"f1_{average or 'none'}".lower(), m.F1Score(average=average))
            add(f"f1_{average or 'none'}_at".lower(), m.F1Score(average=average, threshold=0.5))
    else:
        add("f1", m.F1Score(average="micro", threshold=0.5))
    for curve in ("ROC", "PR"):
        for method in ("interpolation", "minoring", "majoring"):
            add(f"auc_{curve}_{method}".lower(), m.AUC(curve=curve, summation_method=method, num_thresholds=200 if method == "interpolation" else 9))
        if n > 1 and each:  # which takes Keras a second
            add(f"auc_{curve}_each".lower(), m.AUC(curve=curve, multi_label=True, num_labels=n))
    add("auc_logits", m.AUC(from_logits=True))
    if n > 1 and not labels:
        for k in (1, 2):  # which TensorFlow computes in single precision only
            out[f"top{k}"] = measured(m.SparseTopKCategoricalAccuracy(k=k), target, p.astype("float32"), cuts).tolist()
        add("accuracy", m.SparseCategoricalAccuracy(), target)
    if not labels:
        answer = (p[:, 0] > 0.5).astype(int) if n == 1 else np.argmax(p, 1)
        matrix = np.zeros((max(n, 2), max(n, 2)))
        for t, a in zip(target, answer):
            matrix[t, a] += 1
        out["confusion_matrix"] = matrix.tolist()
    return out


def main():
    rng = np.random.default_rng(2026)
    cases = []
    for n, labels, how_many in ((1, False, 100), (3, False, 100), (5, False, 50), (4, True, 60)):
        for i in range(how_many):
            p, target, cuts = case(rng, n, labels)
            c = {"n": n, "labels": labels, "p": p.tolist(), "target": target.tolist(), "cuts": cuts}
            for dtype in ("float32", "float64"):
                keras.config.set_floatx(dtype)
                c[dtype] = values(p, target, cuts, n, labels, dtype, i % 10 == 0)
            cases.append(c)
    text = json.dumps({"keras": keras.__version__, "cases": cases}, separators=(",", ":"))
    with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "metrics.json.gz"), "wb") as raw:
        with gzip.GzipFile(fileobj=raw, mode="wb", mtime=0, filename="") as f:
            f.write(text.encode())


main()
