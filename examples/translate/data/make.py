"""Makes train.tsv, validation.tsv and test.tsv: English sentences and their German translations, by the grammar below.

    python3 make.py

A template is a choice of each of: the frame (statement, question, a time in front, a clause after "i know that"), the tense (present, perfect,
future), negated or not, an adjective before the subject or not, one before the object or not, a place or not. That makes 192 templates. 20 of them, by chance,
are only in validation.tsv and 30 others only in test.tsv, so that these hold sentences of kinds that the training has not seen; the words are the same. What
German asks for: the verb second in a statement, also after a time, first in a question, last in a clause; participle and infinitive at the end; articles by gender and
case; "nicht" behind the object and before the place. All letters are small.
"""

import itertools
import random

# English, German, gender
SUBJECTS = [("dog", "hund", "m"), ("cat", "katze", "f"), ("child", "kind", "n"), ("teacher", "lehrer", "m"), ("woman", "frau", "f"),
            ("girl", "mädchen", "n"), ("king", "könig", "m"), ("queen", "königin", "f")]
OBJECTS = SUBJECTS + [("apple", "apfel", "m"), ("flower", "blume", "f"), ("book", "buch", "n"), ("ball", "ball", "m")]
ADJECTIVES = [("small", "klein"), ("old", "alt"), ("good", "gut"), ("beautiful", "schön"), ("new", "neu"), ("strange", "seltsam")]
# English: base, third person, participle; German: third person, participle, infinitive. All of them make their perfect with "haben".
VERBS = [("see", "sees", "seen", "sieht", "gesehen", "sehen"), ("find", "finds", "found", "findet", "gefunden", "finden"),
         ("seek", "seeks", "sought", "sucht", "gesucht", "suchen"), ("buy", "buys", "bought", "kauft", "gekauft", "kaufen"),
         ("paint", "paints", "painted", "malt", "gemalt", "malen"), ("love", "loves", "loved", "liebt", "geliebt", "lieben")]
PLACES = [("in the garden", "im garten"), ("in the house", "im haus"), ("in the city", "in der stadt"), ("at the market", "am markt"), ("at school", "in der schule")]
TIMES = [("today", "heute"), ("now", "jetzt"), ("often", "oft"), ("on monday", "am montag")]
ARTICLES = {"subject": {"m": "der", "f": "die", "n": "das"}, "object": {"m": "den", "f": "die", "n": "das"}}

TEMPLATES = list(itertools.product(["statement", "question", "time", "clause"], ["present", "perfect", "future"], [False, True], [False, True], [False, True], [False, True]))


def phrase(r, nouns, case, with_adjective):
    english, german, gender = r.choice(nouns)
    article = ARTICLES[case][gender]
    if not with_adjective:
        return f"the {english}", f"{article} {german}"
    adjective = r.choice(ADJECTIVES)
    ending = "en" if article == "den" else "e"
    return f"the {adjective[0]} {english}", f"{article} {adjective[1]}{ending} {german}"


def sentence(r, template):
    frame, tense, negated, subject_adjective, object_adjective, with_place = template
    subject, subjekt = phrase(r, SUBJECTS, "subject", subject_adjective)
    what, objekt = phrase(r, OBJECTS, "object", object_adjective)
    base, third, participle, verb, partizip, infinitiv = r.choice(VERBS)
    place, ort = r.choice(PLACES) if with_place else ("", "")
    time, zeit = r.choice(TIMES)

    auxiliary, main, finit, rest = {
        "present": ("does", base, verb, ""),
        "perfect": ("has", participle, "hat", partizip),
        "future": ("will", base, "wird", infinitiv),
    }[tense]
    no, nicht = ("not", "nicht") if negated else ("", "")
    if frame == "question":
        english = [auxiliary, subject, no, main, what, place, "?"]
    else:
        start = {"statement": "", "time": time, "clause": "i know that"}[frame]
        action = [third] if tense == "present" and not negated else [auxiliary, no, main]
        english = [start, subject, *action, what, place, "."]

    middle = [objekt, nicht, ort]
    german = {
        "statement": [subjekt, finit, *middle, rest, "."],
        "question": [finit, subjekt, *middle, rest, "?"],
        "time": [zeit, finit, subjekt, *middle, rest, "."],
        "clause": ["ich weiß , dass", subjekt, *middle, rest, finit, "."],
    }[frame]
    return " ".join(filter(None, english)), " ".join(filter(None, german))


def main():
    r = random.Random(1)
    templates = TEMPLATES[:]
    r.shuffle(templates)
    for name, some, count in [("test", templates[:30], 600), ("validation", templates[30:50], 400), ("train", templates[50:], 10000)]:
        with open(f"{name}.tsv", "w", encoding="utf-8") as f:
            f.write("source\ttarget\n")
            for i in range(count):
                f.write("\t".join(sentence(r, some[i % len(some)])) + "\n")


main()
