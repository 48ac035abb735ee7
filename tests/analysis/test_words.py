"""RDMs of bags of words: what they find, what they ignore, and that they do not measure the size of classes."""

import numpy as np
import pandas as pd
import pytest
import scipy.stats
import xarray as xr
from scipy.spatial.distance import pdist
from sklearn.feature_extraction.text import TfidfVectorizer

from emonb.analysis import rdm, structure, words
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
    for one in (made.weights, made.profiles, tfidf):
        assert scipy.stats.spearmanr(one, truth).statistic > 0.75


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
    for one in made.values():
        np.testing.assert_array_equal(one.isnull(), (i > 5) | (j > 5))
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


def _rdm_of(points: np.ndarray) -> np.ndarray:
    return rdm.pattern_rdm(points, "euclidean")


def _labelled(rdms: np.ndarray, emotions: int, label: str) -> xr.DataArray:
    names = [f"{label}{k}" for k in range(len(rdms))]
    return xr.DataArray(rdms, dims=(label, "pair"),
                        coords={label: names, **rdm.pair_coords([f"e{k}" for k in range(emotions)])})  # fmt: skip


def test_each_covariate_by_itself_and_all_together() -> None:
    rng = np.random.default_rng(2)
    model, human, *given = _labelled(np.array([_rdm_of(rng.normal(size=(9, 2))) for _ in range(4)]), 9, "rdm")
    table = words.estimate_each(model, human, xr.concat(given, "rdm"))
    assert table.index.tolist() == ["rdm2", "rdm3", "all"]
    for name, some in (("rdm3", given[1]), ("all", np.stack(given))):
        one = words.estimate_given(model, human, some)
        assert table.loc[name, ["rho", "low", "high", "p"]].tolist() == [one.value, one.low, one.high, one.p]


def _partial(a: np.ndarray, b: np.ndarray, given: np.ndarray) -> float:
    return float(words._correlate_given(np.asarray(a)[None], np.asarray(b), np.atleast_2d(given))[0])


def test_partial_rank_correlation_equals_the_textbook_formula() -> None:
    rng = np.random.default_rng(1)
    a, b, c = (_rdm_of(rng.normal(size=(9, 2))) for _ in range(3))
    rab, rac, rbc = (structure.compare(u, v, "rho") for u, v in ((a, b), (a, c), (b, c)))
    expected = (rab - rac * rbc) / np.sqrt((1 - rac**2) * (1 - rbc**2))
    for scale in (1.0, 1e-6, 1e6):
        got = _partial(*(scale * np.argsort(np.argsort(v)) for v in (a, b, c)))
        assert got == pytest.approx(expected, abs=1e-12)


def test_a_partial_correlation_given_many_is_the_inverse_covariance_s() -> None:
    rng = np.random.default_rng(2)
    rows = rng.normal(size=(5, 5)) @ rng.normal(size=(5, 40)) + 100
    precision = np.linalg.inv(np.cov(rows))
    expected = -precision[0, 1] / np.sqrt(precision[0, 0] * precision[1, 1])
    assert _partial(rows[0], rows[1], rows[2:]) == pytest.approx(expected, abs=1e-9)
    assert _partial(rows[0], 3 * rows[2] - rows[3], rows[2:]) == 0


def test_comparison_given_a_covariate_finds_what_is_beyond_it_and_nothing_else() -> None:
    fired = 0
    for seed in range(40):
        rng = np.random.default_rng(seed)
        shared, own = rng.normal(size=(16, 2)), rng.normal(size=(16, 2))
        covariate = _rdm_of(shared)
        human = _rdm_of(np.hstack([shared, own]))
        only = _rdm_of(shared + 0.05 * rng.normal(size=shared.shape))
        nothing = words.estimate_given(only, human, covariate)
        assert nothing.low < nothing.value < nothing.high
        fired += nothing.p_greater < 0.05
    assert fired <= 6  # of 40; 2 expected at the nominal rate
    beyond = _rdm_of(np.hstack([rng.normal(size=(16, 1)) * 0.2, own]))
    found = words.estimate_given(beyond, human, covariate)
    assert found.p < 0.02 and found.low > 0
    variance = words.unique_variance(beyond, human, covariate, 1.0)
    assert variance["both"] > variance["covariates"]
    assert variance["unique"] == pytest.approx(variance["both"] - variance["covariates"])


def test_jackknife_equals_leaving_out_emotions_by_hand() -> None:
    from scipy.stats import rankdata, t

    rng = np.random.default_rng(5)
    n, points = 11, rng.normal(size=(4, 11, 2))
    squares = [np.linalg.norm(p[:, None] - p[None], axis=-1) for p in points]

    def rho(kept: np.ndarray) -> float:
        upper = np.triu_indices(len(kept), 1)
        model, human, *given = (rankdata(square[np.ix_(kept, kept)][upper]) for square in squares)
        columns = np.vander(given[0] / 100, 4).tolist(), np.vander(given[1] / 100, 4).tolist()
        design = np.hstack([np.array(columns[0]), np.array(columns[1])])  # up to the cube; the constant is there twice
        a, b = (y - design @ np.linalg.lstsq(design, y, rcond=None)[0] for y in (model, human))
        return float(np.corrcoef(a, b)[0, 1])

    everyone = np.arange(n)
    without = np.array([rho(np.delete(everyone, k)) for k in everyone])
    error = np.sqrt((n - 1) / n * ((without - without.mean()) ** 2).sum())
    model, human, first, second = (square[np.triu_indices(n, 1)] for square in squares)
    result = words.estimate_given(model, human, np.stack([first, second]))
    assert result.value == pytest.approx(rho(everyone), abs=1e-9)
    assert result.p_greater == pytest.approx(t.sf(rho(everyone) / error, n - 1), abs=1e-9)
    assert result.high - result.low == pytest.approx(2 * t.isf(0.025, n - 1) * error, abs=1e-9)


def test_noise_of_covariates_is_taken_off() -> None:
    """What a covariate leaves is what the covariate without its noise would leave, over many data sets."""
    plain, corrected = [], []
    for seed in range(30):
        rng = np.random.default_rng(seed)
        shared = rng.normal(size=(20, 2))
        model, human = (_rdm_of(shared + 0.2 * rng.normal(size=shared.shape)) for _ in range(2))
        parts = shared + 0.6 * rng.normal(size=(4, *shared.shape))
        whole, pairs = _rdm_of(parts.mean(0)), ([0, 1], [2, 3], [0, 2], [1, 3], [0, 3], [1, 2])
        halves = np.array([[_rdm_of(parts[two].mean(0))] for two in pairs])
        clean = words.estimate_given(model, human, _rdm_of(shared)).value
        plain.append(words.estimate_given(model, human, whole).value - clean)
        corrected.append(words.estimate_given(model, human, whole, halves).value - clean)
    assert np.mean(plain) > 0.1 and abs(np.mean(corrected)) < 0.4 * np.mean(plain)


def test_halves_that_are_the_whole_change_nothing_and_unusable_ones_are_left_out() -> None:
    rng = np.random.default_rng(3)
    model, human, *given = (_rdm_of(rng.normal(size=(9, 2))) for _ in range(4))
    whole = np.array(given)
    plain = words.estimate_given(model, human, whole)
    np.testing.assert_allclose(words.estimate_given(model, human, whole, np.stack([whole, whole])), plain, atol=1e-9)
    other = np.array([_rdm_of(rng.normal(size=(9, 2))) for _ in range(2)])
    gap = np.where(np.arange(36) < 8, np.nan, other)  # the first emotion is undefined
    one, two = (words.estimate_given(model, human, whole, np.stack(some)) for some in ([other], [other, gap]))
    assert one == two
    labelled = xr.DataArray(np.stack([other, whole]).swapaxes(0, 1), dims=("given", "half", "pair"))
    assert words.estimate_given(model, human, whole, labelled) == words.estimate_given(
        model, human, whole, np.stack([other, whole])
    )
    with pytest.raises(ValueError, match=r"must have shape \(n_halves, 2, 36\), got \(2, 1, 36\)"):
        words.estimate_given(model, human, whole, np.stack([other, whole])[:, :1])

    def left(given: np.ndarray) -> np.ndarray:
        ranks = [np.argsort(np.argsort(rdm)) for rdm in (model, human, *given)]
        design = np.vstack([np.ones(36), *(rank**power for rank in np.array(ranks[2:]) / 35 for power in (1, 2, 3))]).T
        return np.cov([side - design @ np.linalg.lstsq(design, side, rcond=None)[0] for side in ranks[:2]])

    without = 2 * left(whole) - left(other)  # noise taken off variances and covariance
    assert one.value == pytest.approx(without[0, 1] / np.sqrt(without[0, 0] * without[1, 1]))
    assert np.isnan(words.estimate_given(model, human, whole, gap[None])).all()


def test_nothing_is_left_of_a_model_that_is_its_covariate() -> None:
    rng = np.random.default_rng(8)
    human, covariate = (_rdm_of(rng.normal(size=(9, 2))) for _ in range(2))
    given = np.stack([covariate, np.ones_like(covariate)])
    found = words.estimate_given(covariate**2, human, given)
    assert found.value == 0 and np.isnan(found[1:]).all()  # no interval of no width, which would be certainty
