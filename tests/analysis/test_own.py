"""Own neurons: found where an attribute has neurons of its own, by rotations of its scores; counted by closed testing."""

import itertools

import numpy as np
import pytest
import scipy.stats
from carriers import draw_correlated, make_world, rank_neurons

from emonb.analysis import neurons, own
from emonb.analysis.rdm import average_neuron_rdms, centred_ranks, rank_halves


def test_moments_of_rotations_are_those_of_the_rotated_correlations() -> None:
    rng = np.random.default_rng(13)
    x, turned = centred_ranks(rng.random((5, 45))), [centred_ranks(rng.random((300, 45))) for _ in range(2)]
    x[4] = 0
    mean, sd, skew = own._moments(x, *own._describe(turned))
    for k, some in enumerate(turned):
        rho = [[scipy.stats.spearmanr(a, b).statistic for b in some] for a in x[:4]]
        np.testing.assert_allclose(mean[:4, k], np.mean(rho, axis=1))
        np.testing.assert_allclose(sd[:4, k], np.std(rho, axis=1))
    assert (skew == 0).all() and (sd[4] == 0).all()


def test_an_attribute_nobody_carries_is_found_for_its_correlation_and_is_not_found_as_its_own() -> None:
    """Correlated .7 with a carried attribute it is "found" in about three of four data sets; its own share never fires."""
    rng = np.random.default_rng(4)
    found, alone, carried = 0, 0, 0
    for k in range(60):
        activations, humans = make_world(rng, draw_correlated(rng, 0.7), n=100, carriers=20)
        world = rank_neurons(activations, humans), humans
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
        activations, humans = make_world(rng, draw_correlated(rng, 0.85, more=12), n=40, carriers=20)
        least.append(
            own.find_own_neurons(rank_neurons(activations, humans), humans, 99, k).p_fwe.min(("layer", "neuron")).values[1:]
        )
    hits = int((np.array(least) <= 0.05).sum())  # of 25 * 13 attributes that nobody carries
    assert scipy.stats.binomtest(hits, 25 * 13, 0.05, alternative="greater").pvalue > 0.001


def test_surrogates_relate_to_the_other_scores_as_the_scores_do() -> None:
    rng = np.random.default_rng(6)
    scores = draw_correlated(rng, 0.8, more=4)
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
    activations, humans = make_world(rng, scores, n=10, carriers=5)
    world = rank_neurons(activations, humans), humans
    found = own.find_own_neurons(*world, 39, 0)
    assert (found.p_fwe == 1).all() and (found.q == 1).all() and found.rho.isnull().all()
    assert own.count_attributes(own.best_p(found)[2:]).value == 0


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
    activations, humans = make_world(rng, draw_correlated(rng, 0.5), n=20, carriers=5)
    world = rank_neurons(activations, humans), humans
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
    activations, humans = make_world(rng, 3 * draw_correlated(rng, 0.1), n=60, carriers=15)
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
