"""Label permutations of all neurons, and neurons of an attribute's own: brute force, calibration, known truth."""

import itertools

import numpy as np
import pytest
import scipy.stats
import xarray as xr
from carriers import NAMES, draw_correlated, make_world, rank_neurons
from scipy.stats import kendalltau

from emonb.analysis import neurons, rdm, statistics
from emonb.analysis.rdm import average_neuron_rdms, centred_ranks, pair_coords, pair_index, rank_neuron_rdms
from emonb.errors import LabelError


@pytest.mark.parametrize("n", [3, 4, 5, 6, 7])
def test_exact_moments_are_those_of_all_relabellings(n: int) -> None:
    rng = np.random.default_rng(n)
    x, y = (neurons.unit_rows(centred_ranks(rng.integers(0, 9, (3, n * (n - 1) // 2)))) for _ in range(2))
    x[2] = 0
    sd, skew = neurons.relabelling_moments(x, y)
    orders = np.array(list(itertools.permutations(range(n))))
    every = np.stack([x @ z.T for z in statistics.permute_rdm(y, orders)])
    np.testing.assert_allclose(every.mean(0), 0, atol=1e-12)
    np.testing.assert_allclose(sd, every.std(0), atol=1e-12)
    np.testing.assert_allclose(skew[:2] * sd[:2] ** 3, (every[:, :2] ** 3).mean(0), atol=1e-12)
    assert (sd[2] == 0).all() and (skew[2] == 0).all()


def test_rho_p_and_q_are_those_of_brute_force() -> None:
    rng = np.random.default_rng(1)
    activations, humans = make_world(rng, np.round(draw_correlated(rng, 0.5), 1), n=9, carriers=3)
    activations.activation[:, :, 0, 4] = 0.1  # never varies
    found = neurons.find_neurons(rank_neurons(activations, humans), humans, 199, 3)
    varies = np.arange(9) != 4
    x, y = average_neuron_rdms(activations.activation)[varies], humans.attribute_rdm.values

    def correlate(rdms: np.ndarray) -> np.ndarray:
        return np.array([[scipy.stats.spearmanr(a, b).statistic for b in rdms] for a in x])

    rho = correlate(y)
    np.testing.assert_allclose(found.rho.values[:, 0, varies].T, rho)
    null = np.array([correlate(rows) for rows in statistics.permute_rdm(y, statistics.draw_permutations(27, 199, 3))])
    # the exact moments are those of many relabellings of the ranks
    many = statistics.permute_rdm(scipy.stats.rankdata(y, axis=1), statistics.draw_permutations(27, 20_000, 0))
    many = (many - many.mean(-1, keepdims=True)) / (many.std(-1, keepdims=True) * many.shape[-1])
    drawn = scipy.stats.zscore(scipy.stats.rankdata(x, axis=1), axis=1) @ many.transpose(0, 2, 1)
    sd, skew = (found[name].values[:, 0, varies].T for name in ("sd", "skew"))
    np.testing.assert_allclose(sd, drawn.std(0), rtol=0.03)
    np.testing.assert_allclose(skew, scipy.stats.skew(drawn, axis=0), atol=0.1)

    def normal(values: np.ndarray) -> np.ndarray:
        z = values / sd
        return np.where(z > 1, (np.cbrt(skew * np.maximum(z, 0) / 2 + 1) - 1) * 6 / skew + skew / 6, z)

    q = scipy.stats.false_discovery_control(np.vstack([scipy.stats.norm.sf(normal(rho)), [1, 1]]), axis=0)[:-1]
    np.testing.assert_allclose(found.q.values[:, 0, varies].T, q)
    peaks = normal(null).max(1)
    np.testing.assert_allclose(found.peak, peaks)
    p = ((peaks[:, None] >= normal(rho) - 1e-9).sum(0) + 1) / 200
    np.testing.assert_allclose(found.p_fwe.values[:, 0, varies].T, p)
    for name in ("p_fwe", "q"):
        assert (found[name][:, 0, 4] == 1).all()
    assert found.rho[:, 0, 4].isnull().all()


def test_the_best_is_found_whatever_the_chunks_and_however_low_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(12)
    world = make_world(rng, draw_correlated(rng, 0.5), n=70, carriers=0)
    whole = neurons.find_neurons(rank_neurons(*world), world[1], 100, 3)
    monkeypatch.setattr(neurons, "CHUNK", 7)
    monkeypatch.setattr(neurons, "_ROWS", 33)
    for level in (-5.0, 9.0):  # each relabelling's best is looked for among all, or among none at first
        monkeypatch.setattr(neurons, "_HIGH", level)
        assert neurons.find_neurons(rank_neurons(*world), world[1], 100, 3).identical(whole)


def test_the_best_of_neurons_that_single_precision_cannot_tell_apart_is_the_best_to_the_last_bit() -> None:
    rng = np.random.default_rng(18)
    x = centred_ranks(rng.random((1, 351))).repeat(400, axis=0)
    for row in x[1:]:  # neighbours in rank change places: rho differs by multiples of 3e-7
        for low in rng.choice(np.arange(-350, 350, 4), 40, replace=False):
            row[row == low], row[row == low + 2] = 9999, low
            row[row == 9999] = low + 2
    x[7] = 0
    turned = centred_ranks(rng.random((60, 351))).reshape(30, 2, 351)
    tail = neurons.Tail(*(value + rng.random((400, 2)) * 1e-6 for value in (0.0, 0.05, 0.3)))
    tail.sd[7] = 0
    rho = neurons.correlate_ranks(x, turned.reshape(60, 351)).reshape(400, 30, 2)
    best = np.stack([neurons.normal_scores(rho[:, k], *tail).max(0) for k in range(30)])
    units, slack = neurons.unit_rows(x, np.float32), 350 * 2.0**-24
    for _ in range(3):  # whatever a processor makes of the products
        rounded = units * (1 + slack * rng.choice([-1, 1], units.shape)).astype(np.float32)
        side = neurons.Side(x, rounded, np.linalg.norm(x.astype(float), axis=1))
        peaks = neurons.find_peaks(side, turned.reshape(60, 351), np.tile([0, 1], 30), tail)
        assert np.array_equal(peaks.reshape(30, 2), best)


def test_a_relabelling_that_changes_nothing_counts_as_high() -> None:
    """In two pairs of twins every relabelling has others that give the same distances: the same sums in another order."""
    emotions = NAMES[:4]
    scores = np.array([[0.0, 0, 1, 1]])
    values = np.tile(scores[0] / 3, (2, 1))[:, :, None, None] + np.zeros((2, 4, 1, 1))
    coords = {"seed": [1, 2], "emotion": emotions, "layer": [1], "neuron": [0]}
    activation = xr.DataArray(values, coords, tuple(coords))
    i, j = pair_index(4)
    rdm = {"attribute_rdm": (("attribute", "pair"), np.abs(scores[:, i] - scores[:, j]))}
    humans = xr.Dataset(rdm, {"attribute": ["a"], **pair_coords(emotions)})
    found = neurons.find_neurons(rank_neuron_rdms(activation, humans), humans, 3000, 0)
    assert found.p_fwe.item() == pytest.approx(1 / 3, abs=0.035)  # 8 of 24 relabellings


def test_normal_scores_are_normal_in_the_tail_of_skewed_null_distributions() -> None:
    rng = np.random.default_rng(2)
    values = scipy.stats.gamma.rvs(6, size=200_000, random_state=rng)
    z = neurons.normal_scores(values[:, None], *(m * np.ones((200_000, 1)) for m in (6, np.sqrt(6), 2 / np.sqrt(6))))
    for p in (0.05, 0.01, 0.001):
        assert (z >= scipy.stats.norm.isf(p)).mean() == pytest.approx(p, rel=0.15)


def test_family_wise_rate_is_kept_where_nothing_is_carried() -> None:
    rng = np.random.default_rng(3)
    hits = 0
    for k in range(150):
        side = rng.choice([-1, 1], 27)  # families of emotions, in the attributes and, others, in the neurons
        scores = draw_correlated(rng, 0.8)[:1] + 1.5 * side
        activations, humans = make_world(rng, scores, carriers=0, n=30)
        activations["activation"] = activations.activation + 2 * xr.DataArray(
            rng.choice([-1, 1], 27), {"emotion": NAMES}, ["emotion"]
        )
        hits += float(neurons.find_neurons(rank_neurons(activations, humans), humans, 99, k).p_fwe.min()) <= 0.05
    assert scipy.stats.binomtest(hits, 150, 0.05).pvalue > 0.001


def test_a_score_is_undone() -> None:
    at, null = np.linspace(-0.5, 1, 31)[:, None], [np.full((31, 1), m) for m in (0.1, 0.2, 0.4)]
    assert np.diff(neurons.normal_scores(at, *null), axis=0).min() > 0
    for score in (-1.0, 0.5, 2.5, 4.0):
        back = neurons.undo_score(score, *null)
        np.testing.assert_allclose(neurons.normal_scores(back, *null), score)


def test_ties_share_their_mean_rank_and_missing_taus_rank_last() -> None:
    ranks = neurons.rank_neurons(np.array([[0.5, np.nan, 0.5, 0.9]]))
    np.testing.assert_array_equal(ranks, [[2.5, 4, 2.5, 1]])


def test_a_planted_neuron_is_found_where_it_was_planted() -> None:
    rng = np.random.default_rng(9)
    emotions = [f"e{k}" for k in range(14)]
    score = rng.random(14)
    values = rng.normal(size=(3, 14, 2, 20))
    values[:, :, 1, 7] = 5 * score + 0.2 * rng.normal(size=(3, 14))
    acts = xr.DataArray(values, dims=("seed", "emotion", "layer", "neuron"),
                        coords={"seed": [1, 2, 3], "emotion": emotions, "layer": [1, 2], "neuron": range(20)})  # fmt: skip
    humans, activations = _humans(score[:, None], emotions), acts.to_dataset(name="activation")
    ranks = rdm.rank_neuron_rdms(activations.activation, humans)
    light = neurons.search_neurons(ranks, humans)
    assert float(light["rank"].sel(attribute="x0", layer=2, neuron=7)) == 1
    test = neurons.find_neurons(ranks, humans, 199, 0)
    assert float(test.p_fwe.sel(attribute="x0", layer=2, neuron=7)) == 1 / 200
    assert int((test.p_fwe < 0.05).sum()) <= 2


def _humans(score: np.ndarray, emotions: list[str]) -> xr.Dataset:
    """Attribute RDMs of scores [emotion, attribute], emotions in the order given."""
    i, j = np.triu_indices(len(emotions), 1)
    coords = {"attribute": [f"x{k}" for k in range(score.shape[1])], **rdm.pair_coords(emotions)}
    return xr.Dataset({"attribute_rdm": (("pair", "attribute"), np.abs(score[i] - score[j]))}, coords=coords)


def test_search_and_assess_agree_whatever_the_order_of_the_emotions() -> None:
    rng = np.random.default_rng(12)
    emotions = np.array([f"e{k}" for k in range(9)])
    score, coords = rng.random((9, 2)), {"seed": [1, 2], "emotion": emotions, "layer": [1, 2], "neuron": range(4)}
    acts = xr.DataArray(rng.normal(size=(2, 9, 2, 4)), dims=tuple(coords), coords=coords).to_dataset(name="activation")
    humans = _humans(score, emotions)
    ranks = rdm.rank_neuron_rdms(acts.activation, humans)
    light, test = neurons.search_neurons(ranks, humans), neurons.find_neurons(ranks, humans, 199, 3)
    expected = [[kendalltau(_pairs(acts.activation.values, k), humans).statistic for k in np.ndindex(2, 4)]
                for humans in humans.attribute_rdm.values.T]  # fmt: skip
    np.testing.assert_allclose(light.tau.values.reshape(2, 8), expected, atol=1e-12)
    for _ in range(5):
        order, moved = rng.permutation(9), acts.isel(emotion=rng.permutation(9))
        humans = _humans(score[order], list(emotions[order]))
        xr.testing.assert_allclose(
            neurons.search_neurons(rdm.rank_neuron_rdms(moved.activation, humans), humans), light, atol=1e-12
        )
        humans = _humans(score, emotions)
        same_draws = neurons.find_neurons(rdm.rank_neuron_rdms(moved.activation, humans), humans, 199, 3)
        xr.testing.assert_identical(same_draws, test)
    with pytest.raises(LabelError, match="different emotions"):
        rdm.rank_neuron_rdms(acts.activation.isel(emotion=range(8)), humans)
    other = _humans(score, [f"f{k}" for k in range(9)])
    for function in (neurons.search_neurons, lambda r, h: neurons.find_neurons(r, h, 19, 0)):
        with pytest.raises(LabelError, match="different pairs"):
            function(ranks, other)


def _pairs(activation: np.ndarray, neuron: tuple[int, int]) -> np.ndarray:
    values = activation[:, :, *neuron]  # [seed, emotion]
    i, j = np.triu_indices(values.shape[1], 1)
    return np.abs(values[:, i] - values[:, j]).mean(0)
