"""What scikit-learn reaches on the sentences of examples/sentiment: logistic regression on words weighted by TF-IDF, trained on data/train.tsv only.

    python3 -m venv venv && venv/bin/pip install scikit-learn==1.9.1
    venv/bin/python conformance/peers/sentiment.py examples/sentiment/data

The first line has the defaults of both classes; the second pairs of words, too. Nothing is chosen by the test sentences.
"""
import csv
import sys

import sklearn
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression


def read(path):
    with open(path, encoding="utf-8", newline="") as f:
        rows = list(csv.DictReader(f, delimiter="\t", quoting=csv.QUOTE_NONE))
    return [r["text"] for r in rows], [r["label"] == "good" for r in rows]


train, validation, test = (read(f"{sys.argv[1]}/{split}.tsv") for split in ("train", "validation", "test"))
print(f"scikit-learn {sklearn.__version__}: {len(train[0])} training, {len(validation[0])} validation, {len(test[0])} test sentences")
for name, longest in (("words", 1), ("words and pairs of words", 2)):
    vectorizer = TfidfVectorizer(ngram_range=(1, longest))
    model = LogisticRegression(max_iter=1000).fit(vectorizer.fit_transform(train[0]), train[1])
    accuracies = (f"{model.score(vectorizer.transform(x), y):.4f} of the {split}" for split, (x, y) in (("validation", validation), ("test", test)))
    print(f"{name}: {', '.join(accuracies)} sentences right")
