"""Label permutations of all neurons, and neurons of an attribute's own: brute force, calibration, known truth."""

import itertools

import numpy as np
import pytest
import scipy.stats
import xarray as xr

from emonb.analysis import neurons, own, statistics
from emonb.analysis.rdm import average_neuron_rdms, centred_ranks, pair_coords, pair_index, rank_halves, rank_neuron_rdms

NAMES = [f"e{k:02}" for k in range(27)]


def _world(
    rng: np.random.Generator, scores: np.ndarray, n: int = 60, carriers: int = 15, seeds: int = 12
) -> tuple[xr.Dataset, xr.Dataset]:
    """Neurons of which some carry the first of the attributes, with tuning and noise of their own."""
    tuned = rng.normal(size=(n, 27))
    tuned[:carriers] += scores[0]
    values = (tuned + rng.normal(size=(seeds, n, 27))).transpose(0, 2, 1)[:, :, None]
    dims = ("seed", "emotion", "layer", "neuron")
    coords = {"seed": range(seeds), "emotion": NAMES, "layer": [1], "neuron": range(n)}
    i, j = pair_index(27)
    humans = {
        "score": (("attribute", "emotion"), scores),
        "attribute_rdm": (("attribute", "pair"), np.abs(scores[:, i] - scores[:, j])),
    }
    names = {"attribute": [f"a{k}" for k in range(len(scores))], "emotion": NAMES}
    return xr.Dataset({"activation": (dims, values)}, coords), xr.Dataset(humans, {**names, **pair_coords(NAMES)})


def _correlated(rng: np.random.Generator, r: float, more: int = 0) -> np.ndarray:
    """Scores [2 + more, emotion]; the second correlates with the first, and so does every further one."""
    scores = rng.normal(size=(2 + more, 27))
    scores[1:] = r * scores[0] + np.sqrt(1 - r**2) * scores[1:]
    return scores


def _ranks(activations: xr.Dataset, humans: xr.Dataset) -> xr.DataArray:
    return rank_neuron_rdms(activations.activation, humans)


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
    activations, humans = _world(rng, np.round(_correlated(rng, 0.5), 1), n=9, carriers=3)
    activations.activation[:, :, 0, 4] = 0.1  # never varies
    found = neurons.find_neurons(_ranks(activations, humans), humans, 199, 3)
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
    world = _world(rng, _correlated(rng, 0.5), n=70, carriers=0)
    whole = neurons.find_neurons(_ranks(*world), world[1], 100, 3)
    monkeypatch.setattr(neurons, "CHUNK", 7)
    monkeypatch.setattr(neurons, "_ROWS", 33)
    for level in (-5.0, 9.0):  # each relabelling's best is looked for among all, or among none at first
        monkeypatch.setattr(neurons, "_HIGH", level)
        assert neurons.find_neurons(_ranks(*world), world[1], 100, 3).identical(whole)


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
        assert np.array_equal(neurons.find_peaks(side, turned, tail), best)


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


def test_moments_of_rotations_are_those_of_the_rotated_correlations() -> None:
    rng = np.random.default_rng(13)
    x, turned = centred_ranks(rng.random((5, 45))), [centred_ranks(rng.random((300, 45))) for _ in range(2)]
    x[4] = 0
    mean, sd, skew = own._moments(x, turned)
    for k, some in enumerate(turned):
        rho = [[scipy.stats.spearmanr(a, b).statistic for b in some] for a in x[:4]]
        np.testing.assert_allclose(mean[:4, k], np.mean(rho, axis=1))
        np.testing.assert_allclose(sd[:4, k], np.std(rho, axis=1))
    assert (skew == 0).all() and (sd[4] == 0).all()


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
        scores = _correlated(rng, 0.8)[:1] + 1.5 * side
        activations, humans = _world(rng, scores, carriers=0, n=30)
        activations["activation"] = activations.activation + 2 * xr.DataArray(
            rng.choice([-1, 1], 27), {"emotion": NAMES}, ["emotion"]
        )
        hits += float(neurons.find_neurons(_ranks(activations, humans), humans, 99, k).p_fwe.min()) <= 0.05
    assert scipy.stats.binomtest(hits, 150, 0.05).pvalue > 0.001


def test_an_attribute_nobody_carries_is_found_for_its_correlation_and_is_not_found_as_its_own() -> None:
    """Correlated .7 with a carried attribute it is "found" in about three of four data sets; its own share never fires."""
    rng = np.random.default_rng(4)
    found, alone, carried = 0, 0, 0
    for k in range(60):
        activations, humans = _world(rng, _correlated(rng, 0.7), n=100, carriers=20)
        world = _ranks(activations, humans), humans
        found += float(neurons.find_neurons(*world, 99, k).p_fwe.sel(attribute="a1").min()) <= 0.05
        least = own.find_own_neurons(*world, 99, k).p_fwe.min(("layer", "neuron"))
        alone += float(least.sel(attribute="a1")) <= 0.05
        carried += float(least.sel(attribute="a0")) <= 0.05
    assert 0.6 < found / 60 < 0.92
    assert scipy.stats.binomtest(alone, 60, 0.05, alternative="greater").pvalue > 0.001
    assert carried > 54


def test_own_neurons_are_calibrated_with_thirteen_others() -> None:
    rng = np.random.default_rng(5)
    least = []
    for k in range(25):
        activations, humans = _world(rng, _correlated(rng, 0.85, more=12), n=40, carriers=20)
        least.append(
            own.find_own_neurons(_ranks(activations, humans), humans, 99, k).p_fwe.min(("layer", "neuron")).values[1:]
        )
    hits = int((np.array(least) <= 0.05).sum())  # of 25 * 13 attributes that nobody carries
    assert scipy.stats.binomtest(hits, 25 * 13, 0.05, alternative="greater").pvalue > 0.001


def test_surrogates_relate_to_the_other_scores_as_the_scores_do() -> None:
    rng = np.random.default_rng(6)
    scores = _correlated(rng, 0.8, more=4)
    turned, share = own.rotate_scores(scores[1], np.delete(scores, 1, axis=0), 300, 0)
    others = np.delete(scores, 1, axis=0)
    for row in turned[:5]:
        np.testing.assert_allclose(np.cov(others, row)[-1], np.cov(others, scores[1])[-1], atol=1e-9)
    design = np.vstack([np.ones(27), others]).T
    fitted = design @ np.linalg.lstsq(design, scores[1], rcond=None)[0]
    assert share == pytest.approx(fitted.var() / scores[1].var())
    left = scores[1] - fitted
    assert abs(np.mean((turned - fitted) @ left)) < 4 * (left @ left) / np.sqrt(300 * 21)
    turned, share = own.rotate_scores(scores[0] + scores[1], scores[:2], 3, 0)
    assert share == 1 and (turned == scores[0] + scores[1]).all()
    assert np.isnan(own.rotate_scores(np.full(27, 0.3), scores[:2], 3, 0)[1])


def test_an_attribute_that_the_others_predict_fully_or_that_never_varies_has_no_own_neurons() -> None:
    rng = np.random.default_rng(7)
    scores = rng.normal(size=(4, 27))
    scores[3] = 0
    scores[2] = scores[0] + scores[1]
    activations, humans = _world(rng, scores, n=10, carriers=5)
    world = _ranks(activations, humans), humans
    found = own.find_own_neurons(*world, 39, 0)
    assert (found.p_fwe == 1).all() and (found.q == 1).all() and found.rho.isnull().all()
    assert own.count_attributes(own.best_p(found)[2:]).value == 0


def test_a_score_is_undone() -> None:
    at, null = np.linspace(-0.5, 1, 31)[:, None], [np.full((31, 1), m) for m in (0.1, 0.2, 0.4)]
    assert np.diff(neurons.normal_scores(at, *null), axis=0).min() > 0
    for score in (-1.0, 0.5, 2.5, 4.0):
        back = neurons.undo_score(score, *null)
        np.testing.assert_allclose(neurons.normal_scores(back, *null), score)


@pytest.mark.parametrize("level", ["low", "low90"])
def test_the_count_is_that_of_closed_testing_over_every_intersection(level: str) -> None:
    rng, alpha = np.random.default_rng(14), {"low": 0.05, "low90": 0.10}[level]
    seen = set()
    for k in range(200):
        p = rng.random(6) ** rng.choice([1, 3, 8])
        p[:2] = np.round(p[:2], 2)
        rejected = {}
        for size in range(1, 7):
            for some in itertools.combinations(range(6), size):
                ordered = np.sort(p[list(some)])
                rejected[some] = (ordered * size / np.arange(1, size + 1)).min() <= alpha
        # hypotheses that may all be true together: an intersection that some larger one does not let be rejected
        kept = [set(some) for some, out in rejected.items() if not out]
        most = max(map(len, kept), default=0)
        found = own.count_attributes(p)
        assert getattr(found, level) == 6 - most, k
        assert found.p == pytest.approx(scipy.stats.false_discovery_control(p).min())
        seen.add(found.low)
    assert len(seen) > 3


def test_of_nothing_hardly_ever_an_attribute_is_counted_and_of_many_that_are_there_not_too_many() -> None:
    """Level: twenty p that share a factor; three of six are shifted in the second run, which must not be exceeded."""
    rng, n = np.random.default_rng(15), 2000
    shared = rng.normal(size=(n, 1))
    for shift, true in ((0.0, 0), (6.0, 3)):
        z = np.sqrt(0.5) * shared + np.sqrt(0.5) * rng.normal(size=(n, 6)) + shift * (np.arange(6) < 3)
        counts = np.array([own.count_attributes(scipy.stats.norm.sf(row)).value for row in z])
        assert scipy.stats.binomtest(int((counts > true).sum()), n, 0.05, alternative="greater").pvalue > 0.001
        assert counts.mean() > 0.95 * true


def test_rotations_end_with_the_last_that_is_needed_and_sets_are_counted_by_their_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rng = np.random.default_rng(16)
    activations, humans = _world(rng, _correlated(rng, 0.5), n=20, carriers=5)
    world = _ranks(activations, humans), humans
    whole = own.find_own_neurons(*world, 59, 0, enough=60)
    monkeypatch.setattr(own, "CHUNK", 7)
    found = own.find_own_neurons(*world, 59, 0, enough=4)
    best = found.score.max(("layer", "neuron")).values
    sets = whole.peak.values.reshape(5, 59, 2)
    before = np.cumsum(sets >= best, axis=1) - (sets >= best)  # as good as the best, before this one
    drawn = before < 4
    assert not drawn.all() and drawn[..., 0].sum() > drawn[..., 1].sum()
    np.testing.assert_array_equal(found.peak.values.reshape(5, 59, 2), np.where(drawn, sets, np.nan))
    reached = ((sets >= best) & drawn).sum(1)
    np.testing.assert_allclose(own.draw_p(found), np.minimum(1, 2 * (reached + 1) / (drawn.sum(1) + 1)))
    np.testing.assert_allclose(own.best_p(found), np.minimum(1, 2 * (reached.sum(0) + 1) / (drawn.sum((0, 1)) + 1)))
    assert whole.attrs["n_rotations"] == whole.sizes["permutation"] == 295 and not whole.peak.isnull().any()


def test_p_of_rotations_that_end_early_keep_their_level() -> None:
    """Besag & Clifford's p, and that of sets together, where an attribute is one of its rotations."""
    rng, n, enough = np.random.default_rng(19), 4000, 10
    chance = rng.random((n, 1))  # of a rotation to be as good
    drawn = rng.negative_binomial(enough, chance, (n, 5)) + enough
    reached = np.full((n, 5), enough)
    late = drawn > 200
    reached[late], drawn[late] = rng.binomial(200, chance.repeat(5, 1)[late]), 200
    for r, m in ((reached[:, 0], drawn[:, 0]), (reached.sum(1), drawn.sum(1))):
        p = (r + 1) / (m + 1)
        for level in (0.01, 0.05, 0.3):
            assert scipy.stats.binomtest(int((p <= level).sum()), n, level, alternative="greater").pvalue > 0.001


def test_the_best_neurons_are_found_again_by_the_other_half_where_they_carry() -> None:
    rng = np.random.default_rng(17)
    activations, humans = _world(rng, 3 * _correlated(rng, 0.1), n=60, carriers=15)
    ranks = rank_halves(activations, humans)["rank"]
    again = own.find_again(ranks, humans, 15)
    tops = []
    for some in (slice(0, 6), slice(6, 12)):
        x = average_neuron_rdms(activations.activation.isel(seed=some))
        rho = [scipy.stats.spearmanr(row, humans.attribute_rdm.values[1]).statistic for row in x]
        tops.append(set(np.argsort(rho)[-15:]))
    assert again.sel(attribute="a1").item() == pytest.approx(len(tops[0] & tops[1]) / 15)
    assert again.sel(attribute="a0").item() > 0.8
    assert own.find_again(ranks.sel(seeds=["all"]), humans, 15).isnull().all()
