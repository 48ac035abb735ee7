"""The numbers that must come out of the released files, through the package and by independent expressions."""

import numpy as np
import pytest
from scipy.stats import kendalltau, pearsonr, spearmanr, ttest_1samp

from emonb.analysis import neurons, reported, structure
from emonb.run.runs import Run, open_run

pytestmark = pytest.mark.published


@pytest.fixture(scope="module")
def run(shared_store: None) -> Run:
    return open_run("published", progress=False)


def test_accuracy(run: Run) -> None:
    accuracy = run.load("prompts").accuracy
    assert float(accuracy.mean()) == pytest.approx(0.8318, abs=5e-5)
    baseline = run.load("lesions").baseline.sel(emotion=accuracy.emotion, seed=accuracy.seed)
    np.testing.assert_allclose(accuracy, baseline, atol=1e-12)


def test_structure(run: Run) -> None:
    activations = run.load("activations").activation.mean("seed")
    humans = run.load("humans")
    patterns = activations.sel(emotion=humans.emotion).values.reshape(27, -1)
    correlation = (1 - np.corrcoef(patterns))[np.triu_indices(27, 1)]
    assert kendalltau(correlation, humans.dissimilarity).statistic == pytest.approx(0.351, abs=5e-4)
    assert spearmanr(correlation, humans.dissimilarity).statistic == pytest.approx(0.502, abs=5e-4)
    fit = structure.compare_rdms(run.load("rdms").model, run.load("rdms").human)
    assert float(fit.tau.sel(distance="correlation")) == pytest.approx(0.351, abs=5e-4)
    assert float(fit.tau.sel(distance="euclidean")) == pytest.approx(0.322, abs=5e-4)
    assert float(fit.rho.sel(distance="euclidean")) == pytest.approx(0.465, abs=5e-4)


def test_noise_ceiling(run: Run) -> None:
    lower, upper = structure.noise_ceiling(run.load("humans").judgment.values)
    assert lower == pytest.approx(0.740, abs=5e-4)
    assert upper == pytest.approx(0.749, abs=5e-4)


def test_searchlight_ranks_equal_the_published_ones(run: Run) -> None:
    agreement = neurons.rank_agreement(run.load("searchlight")["rank"], run.load("published_ranks")["rank"])
    assert agreement["n"] == 516_096
    assert agreement["equal"] >= 0.97
    assert agreement["largest"] <= 300


def test_searchlight_taus_equal_scipy(run: Run) -> None:
    tau, humans = run.load("searchlight").tau, run.load("humans")
    rng = np.random.default_rng(0)
    values = run.load("activations").activation.sel(emotion=humans.emotion)
    i, j = np.triu_indices(27, 1)
    for layer, neuron in zip(rng.integers(1, 13, 20), rng.integers(0, 3072, 20), strict=True):
        v = values.sel(layer=layer, neuron=neuron).values
        mine = np.abs(v[:, i] - v[:, j]).mean(0)
        for attribute in humans.attribute.values:
            expected = kendalltau(mine, humans.attribute_rdm.sel(attribute=attribute)).statistic
            assert float(tau.sel(attribute=attribute, layer=layer, neuron=neuron)) == pytest.approx(expected, abs=1e-12)


def test_lesions_and_the_paper_s_test(run: Run) -> None:
    accuracy = run.load("lesions").accuracy
    mean = accuracy.sel(size=4000).mean(("attribute", "seed", "emotion"))
    assert float(mean.sel(kind="selective")) == pytest.approx(0.6993, abs=5e-5)
    assert float(mean.sel(kind="random")) == pytest.approx(0.7280, abs=5e-5)
    rdms = run.load("rdms")
    importance = structure.compare_rdms(rdms.attribute_rdm, rdms.human).tau
    result = reported.paper_test_importance(reported.selective_drop(accuracy).sel(size=4000), importance)
    at = accuracy.sel(size=4000).mean("seed")
    drop = (at.sel(kind="random") - at.sel(kind="selective")).transpose("emotion", "attribute")
    z = np.arctanh([pearsonr(row, importance.sel(attribute=drop.attribute)).statistic for row in drop.values])
    assert np.tanh(z.mean()) == pytest.approx(0.474, abs=5e-4)
    assert ttest_1samp(z, 0).statistic == pytest.approx(16.9, abs=0.05)
    assert result.value == pytest.approx(np.tanh(z.mean()), abs=1e-12)
    assert result.t == pytest.approx(ttest_1samp(z, 0).statistic, abs=1e-9)
    assert result.df == 26


def test_goemotions_tasks_against_counts_from_the_files(run: Run) -> None:
    from emonb.data.comments import make_task

    splits = {split: getattr(run.study.corpus, split) for split in ("train", "dev", "test")}
    paths = run.fetch(list(splits.values()))
    files = {split: paths[name] for split, name in splits.items()}
    comments = run.load("comments")
    counts = {"train": 43_410, "dev": 5_426, "test": 5_427}
    emotions = sorted(run.study.emotions)
    for split, path in files.items():
        lines = path.read_text(encoding="utf-8").rstrip("\n").split("\n")
        assert len(lines) == counts[split] == int((comments["split"] == split).sum())
        ids = [line.split("\t")[1].split(",") for line in lines]
        first = int(np.flatnonzero(comments["split"] == split)[0])
        for k, emotion in ((0, "admiration"), (14, "fear"), (16, "grief")):
            assert emotions[k] == emotion
            has = np.array([str(k) in row for row in ids])
            paper = make_task(comments, emotion, 7, split)
            drawn = np.random.RandomState(7).choice(len(lines), has.sum())
            np.testing.assert_array_equal(paper.rows, first + np.r_[np.flatnonzero(has), drawn])
            np.testing.assert_array_equal(paper.labels, np.r_[has[has], has[drawn]])
            true = make_task(comments, emotion, 7, split, "true")
            assert true.labels.sum() == has.sum() == len(true.rows) - has.sum()
            assert not has[true.rows[has.sum() :] - first].any()
