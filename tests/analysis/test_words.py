"""RDMs of bags of words: what they find, what they ignore, and that they do not measure the size of classes."""

import numpy as np
import pandas as pd
import scipy.stats
import xarray as xr
from scipy.spatial.distance import pdist
from sklearn.feature_extraction.text import TfidfVectorizer

from emonb.analysis import words
from emonb.analysis.rdm import pair_coords, pair_index, pattern_rdm

NAMES = [f"e{k}" for k in range(8)]


def _humans() -> xr.Dataset:
    return xr.Dataset(coords=pair_coords(NAMES))


def _comments(rng: np.random.Generator, sizes: np.ndarray, points: np.ndarray, both: float = 0.0) -> pd.DataFrame:
    """Comments of 12 words, of which the emotion's position [emotion, word] makes some likelier."""
    likely = np.exp(points)
    likely /= likely.sum(1, keepdims=True)
    texts, labels = [], []
    for k, size in enumerate(sizes):
        for _ in range(size):
            texts.append(" ".join(f"w{w:03}" for w in rng.choice(points.shape[1], 12, p=likely[k])))
            own = np.arange(8) == k
            if rng.random() < both:
                own[rng.integers(8)] = True
            labels.append(own)
    return pd.DataFrame({"split": "train", "text": texts}).join(pd.DataFrame(labels, columns=NAMES))


def test_all_word_rdms_find_the_structure_of_the_words() -> None:
    rng = np.random.default_rng(0)
    points = rng.normal(size=(8, 2)) @ rng.normal(size=(2, 60))
    comments = _comments(rng, np.full(8, 80), 0.6 * points)
    truth = pattern_rdm(points - points.mean(0))
    made = words.classifier_rdms(comments, _humans(), 2, 0)
    tfidf = words.label_rdms(comments, _humans(), 4, 0).tfidf
    for rdm in (made.weights, made.profiles, tfidf):
        assert scipy.stats.spearmanr(rdm, truth).statistic > 0.75
    assert made.weights_draw.sizes == {"draw": 2, "pair": 28}


def test_sizes_of_classes_rule_plain_means_and_not_the_words_measured_here() -> None:
    """Emotions without any structure: what is left is how many comments there are."""
    rng = np.random.default_rng(1)
    sizes = np.array([25, 35, 50, 70, 100, 180, 300, 500])
    comments = _comments(rng, sizes, 2.5 * np.eye(8, 60))  # a word each: all equally far apart
    mine = words.label_rdms(comments, _humans(), 20, 0)[["tfidf"]].to_dataarray("rdm")
    means = TfidfVectorizer(sublinear_tf=True, min_df=2).fit_transform(comments["text"]).T @ comments[NAMES].to_numpy(float)
    plain = mine.copy(data=pdist(np.asarray(means).T, "cosine")[None])
    count = comments.loc[comments["split"] == "train", NAMES].sum().to_numpy()
    i, j = np.triu_indices(len(NAMES), 1)
    noise = 1 / count[i] + 1 / count[j]  # the form that noise of means has
    assert scipy.stats.spearmanr(plain[0], noise).statistic > 0.7
    assert abs(scipy.stats.spearmanr(mine[0], noise).statistic) < 0.5


def test_cooccurrence_is_chance_where_labels_are_independent_and_near_where_they_are_not() -> None:
    rng = np.random.default_rng(2)
    share = np.array([0.05, 0.1, 0.1, 0.2, 0.2, 0.3, 0.4, 0.4])
    labels = rng.random((20_000, 8)) < share
    labels[:, 1] = np.where(rng.random(20_000) < 0.7, labels[:, 0], labels[:, 1])
    comments = pd.DataFrame({"split": "train", "text": "one two"}, index=range(20_000)).join(
        pd.DataFrame(labels, columns=NAMES)
    )
    comments["text"] = [" ".join(rng.choice([f"w{k}" for k in range(30)], 5)) + f" {' '.join(np.array(NAMES)[own])}"
                        for own in labels]  # fmt: skip
    rdm = words.label_rdms(comments, _humans(), 2, 0).cooccurrence
    assert int(rdm.values.argmin()) == list(rdm["pair"].values).index("e0|e1")
    i, j = pair_index(8)
    apart = (i > 1) & (j > 1)
    assert abs(rdm.values[apart]).max() < 0.15
    old = pattern_rdm(labels[labels.any(1)].T.astype(float))  # 1 - correlation of labels
    assert abs(scipy.stats.spearmanr(old[apart], (1 / share[i] + 1 / share[j])[apart]).statistic) > 0.7


def test_weights_are_scikit_learn_s_and_other_splits_are_not_read() -> None:
    rng = np.random.default_rng(3)
    comments = _comments(rng, np.full(8, 20), rng.normal(size=(8, 30)))
    elsewhere = comments.assign(split="test", text="w000")
    alone, more = (words.classifier_rdms(c, _humans(), 1, 5) for c in (comments, pd.concat([comments, elsewhere])))
    xr.testing.assert_equal(alone, more)
    np.testing.assert_allclose(alone.weights, alone.weights_draw[0])
    assert not np.allclose(words.classifier_rdms(comments, _humans(), 1, 6).weights, alone.weights)


def test_emotions_without_words_or_comments_are_at_no_distance_and_change_nothing_for_others() -> None:
    rng = np.random.default_rng(4)
    comments = _comments(rng, np.full(8, 30), rng.normal(size=(8, 40)), both=0.2)
    whole = words.word_rdms(comments, _humans(), 7)
    assert list(whole) == ["classifier", "profiles", "tfidf", "cooccurrence"]
    assert whole.to_array().notnull().all() and words.undefined_emotions(whole) == []
    silent = comments.assign(text=comments["text"].mask(comments["e6"], "\U0001f600"), e7=False)
    made = words.word_rdms(silent, _humans(), 7)
    assert words.undefined_emotions(made) == ["e6", "e7"]
    i, j = pair_index(8)
    for rdm in made.values():
        np.testing.assert_array_equal(rdm.isnull(), (i > 5) | (j > 5))
    others = xr.Dataset(coords=pair_coords(NAMES[:6]))
    left = words.label_rdms(silent, others, words.SPLITS, 7)
    np.testing.assert_allclose(made.tfidf[~made.tfidf.isnull()], left.tfidf)
    np.testing.assert_allclose(made.cooccurrence[~made.cooccurrence.isnull()], left.cooccurrence)
    nothing = words.word_rdms(comments.assign(text="\U0001f600"), _humans(), 7)
    assert words.undefined_emotions(nothing) == NAMES


def test_single_labels_say_nothing_about_similarity() -> None:
    rng = np.random.default_rng(5)
    comments = _comments(rng, np.full(8, 20), rng.normal(size=(8, 30)))
    assert list(words.label_rdms(comments, _humans(), 2, 0)) == ["tfidf"]


def test_centroids_are_compared_by_name_and_centred_over_emotions() -> None:
    rng = np.random.default_rng(5)
    values = rng.normal(size=(8, 12)) + 3 * rng.normal(size=12)  # all share much
    shuffled = xr.DataArray(values[::-1], {"emotion": NAMES[::-1]}, ["emotion", "dimension"])
    found = words.centroid_rdms(shuffled, _humans())
    i, j = pair_index(8)
    for name, rows in (("plain", values), ("centred", values - values.mean(0))):
        np.testing.assert_allclose(found[name], 1 - np.corrcoef(rows)[i, j])


def test_halves_share_no_comment_and_are_words_of_half_of_them(monkeypatch) -> None:
    rng = np.random.default_rng(6)
    comments = _comments(rng, np.full(8, 20), rng.normal(size=(8, 30)))
    read = []
    monkeypatch.setattr(words, "word_rdms", lambda half, humans, seed: read.append(half.index) or xr.Dataset({"a": seed}))
    made = words.halve_words(pd.concat([comments, comments.assign(split="test")]), _humans(), 3)
    assert made.sizes == {"half": 2 * words.HALVINGS}
    for one, other in zip(read[::2], read[1::2], strict=True):
        assert len(one) == len(other) == 80 and sorted([*one, *other]) == list(range(160))
    assert list(read[0]) != list(read[2])


def test_reliability_is_the_share_of_variance_that_is_not_noise() -> None:
    rng = np.random.default_rng(7)
    truth, noise = rng.normal(size=20_000), rng.normal(size=(6, 20_000))
    halves = xr.Dataset({"noisy": (("half", "pair"), truth + noise), "clean": (("half", "pair"), truth + 0 * noise)})
    halves["clean"][0, 0] = np.nan
    found = words.measure_reliability(halves)
    whole = 1 / (1 + 0.5)  # all comments have half of the noise of half of them
    assert abs(found["noisy"] - whole) < 0.02 and found["clean"] == 1
