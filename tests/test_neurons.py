"""Label permutations of all neurons, and neurons of an attribute's own: brute force, calibration, known truth."""

import numpy as np
import pytest
import scipy.stats
import xarray as xr

from emonb.analysis import beyond, inference, kendall, kendall_octets, neurons, normal_scores, own
from emonb.analysis.normal_scores import N_MOMENTS
from emonb.analysis.rdm import average_neuron_rdms, pair_coords, pair_index

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


def test_scores_are_those_of_the_other_kernel() -> None:
    rng = np.random.default_rng(0)
    for rows, columns, n in ((1, 1, 6), (13, 31, 45), (70, 3, 351)):
        x, y = rng.random((rows, n)), np.round(rng.random((columns, n)), 1)
        x[rows // 2] = np.round(x[rows // 2], 1)
        packed = kendall.pack_signs(x), kendall.pack_signs(y)
        np.testing.assert_array_equal(kendall_octets.count_fast(*packed), kendall.count_scores(*packed))


def test_p_are_those_of_brute_force_and_the_rate_of_mantel_s_test() -> None:
    rng = np.random.default_rng(1)
    activations, humans = _world(rng, np.round(_correlated(rng, 0.5), 1), n=9, carriers=3)
    activations.activation[:, :, 0, 4] = 0.1  # never varies
    found = neurons.find_neurons(activations, humans, 199, 3, chunk=33)
    x = average_neuron_rdms(activations.activation)
    orders = inference.draw_permutations(27, 199 + N_MOMENTS, 3)
    null = np.array([kendall.tau_b(x, rows) for rows in inference.permute_rdm(humans.attribute_rdm.values, orders)])
    tau = kendall.tau_b(x, humans.attribute_rdm.values)
    np.testing.assert_allclose(found.tau.values[:, 0].T, tau)
    varies = np.arange(9) != 4
    moments, test = null[:500, varies], null[500:, varies]
    p = ((test >= tau[varies] - 1e-12).sum(0) + 1) / 200
    np.testing.assert_allclose(found.p.values[:, 0, varies].T, p)
    mean, sd, skew = moments.mean(0), moments.std(0), scipy.stats.skew(moments, axis=0)

    def normal(values: np.ndarray) -> np.ndarray:
        z = (values - mean) / sd
        return np.where(z > 1, (np.cbrt(skew * z / 2 + 1) - 1) * 6 / skew + skew / 6, z)

    q = scipy.stats.false_discovery_control(np.vstack([scipy.stats.norm.sf(normal(tau[varies])), [1, 1]]), axis=0)[:-1]
    np.testing.assert_allclose(found.q.values[:, 0, varies].T, q)
    np.testing.assert_allclose(found.sd.values[:, 0, varies].T, sd)
    peaks = normal(test).max(1)
    np.testing.assert_allclose(found.peak, peaks)
    fwe = ((peaks[:, None] >= normal(tau[varies]) - 1e-9).sum(0) + 1) / 200
    np.testing.assert_allclose(found.p_fwe.values[:, 0, varies].T, fwe)
    again = neurons.find_neurons(activations.isel(neuron=slice(3, 9)), humans, 19, 4, null=found)  # moments taken elsewhere
    np.testing.assert_allclose(again.score, found.score[..., 3:])
    mine = inference.permute_rdm(humans.attribute_rdm.values, inference.draw_permutations(27, 19, 4))
    kept = normal(np.array([kendall.tau_b(x[varies], rows) for rows in mine]))[:, 3:]  # without 0 to 2
    np.testing.assert_allclose(again.peak, kept.max(1))
    beyond, counts = (
        (normal(tau[varies]) >= normal_scores.NORMAL_05).sum(0),
        (normal(test) >= normal_scores.NORMAL_05).sum(1),
    )
    np.testing.assert_array_equal(found.beyond, beyond)
    np.testing.assert_allclose(found.beyond_null, counts.mean(0))
    np.testing.assert_allclose(found.beyond_p, ((counts >= beyond).sum(0) + 1) / 200)
    for name in ("p", "p_fwe", "q"):
        assert (found[name][:, 0, 4] == 1).all()


def test_normal_scores_are_normal_in_the_tail_of_skewed_null_distributions() -> None:
    rng = np.random.default_rng(2)
    values = scipy.stats.gamma.rvs(6, size=200_000, random_state=rng)
    z = normal_scores._normal_scores(values[:, None], *(m * np.ones((200_000, 1)) for m in (6, np.sqrt(6), 2 / np.sqrt(6))))
    for p in (0.05, 0.01, 0.001):
        assert (z >= scipy.stats.norm.isf(p)).mean() == pytest.approx(p, rel=0.15)


def test_family_wise_rate_and_rate_of_the_count_are_kept_where_nothing_is_carried() -> None:
    rng = np.random.default_rng(3)
    hits = {"p_fwe": 0, "beyond_p": 0}
    for k in range(150):
        side = rng.choice([-1, 1], 27)  # families of emotions, in the attributes and, others, in the neurons
        scores = _correlated(rng, 0.8)[:1] + 1.5 * side
        activations, humans = _world(rng, scores, carriers=0, n=30)
        activations["activation"] = activations.activation + 2 * xr.DataArray(
            rng.choice([-1, 1], 27), {"emotion": NAMES}, ["emotion"]
        )
        found = neurons.find_neurons(activations, humans, 99, k, chunk=99)
        hits["p_fwe"] += float(found.p_fwe.min()) <= 0.05
        hits["beyond_p"] += float(found.beyond_p.min()) <= 0.05
    for n in hits.values():
        assert scipy.stats.binomtest(n, 150, 0.05).pvalue > 0.001


def test_an_attribute_nobody_carries_is_found_for_its_correlation_and_is_not_found_as_its_own() -> None:
    """Correlated .7 with a carried attribute it is "found" in about three of four data sets; its own share never fires."""
    rng = np.random.default_rng(4)
    found, alone, carried = 0, 0, 0
    for k in range(60):
        world = _world(rng, _correlated(rng, 0.7), n=100, carriers=20)
        found += float(neurons.find_neurons(*world, 99, k, chunk=99).p_fwe.sel(attribute="a1").min()) <= 0.05
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
        world = _world(rng, _correlated(rng, 0.85, more=12), n=40, carriers=20)
        least.append(own.find_own_neurons(*world, 99, k).p_fwe.min(("layer", "neuron")).values[1:])
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
    world = _world(rng, scores, n=10, carriers=5)
    found = own.find_own_neurons(*world, 39, 0)
    assert (found.p_fwe == 1).all() and (found.q == 1).all() and found.rho.isnull().all() and (found.beyond == 0).all()
    assert all(np.isnan(estimate.evidence()["value"]) for estimate in beyond.beat_chance(found).values())
    tested = beyond.beat_chance(neurons.find_neurons(*world, 39, 0))
    assert [bool(np.isnan(estimate.value)) for estimate in tested.values()] == [False] * 3 + [True]


def test_the_best_neuron_beats_chance_just_where_its_family_wise_p_says_so() -> None:
    rng = np.random.default_rng(8)
    shown = []
    for k in range(40):
        n = int(rng.integers(60, 400))
        found = neurons.find_neurons(*_world(rng, _correlated(rng, 0.4), n=8, carriers=k % 3, seeds=2), n, k)
        for name, effect in beyond.beat_chance(found).items():
            one = found.sel(attribute=name)
            least = float(one.p_fwe.min())
            assert effect.p == min(1, 2 * least)
            assert (effect.low > 0) == (effect.p < 0.05) and (effect.low90 > 0) == (effect.p < 0.1)
            assert effect.low <= effect.low90 <= effect.value <= effect.high90 <= effect.high
            best = one.isel(layer=0, neuron=int(one.score.argmax(("layer", "neuron"))["neuron"]))
            moments = [float(best[name]) for name in ("mean", "sd", "skew")]
            at = np.linspace(-0.5, 1, 3001)  # the tau at which this neuron's score would be what chance's best is
            level = normal_scores._normal_scores(at[:, None], *(np.full((3001, 1), m) for m in moments))[:, 0]
            expected = float(best.tau) - np.interp(np.median(one.peak), level, at)
            assert effect.value == pytest.approx(expected, abs=2e-3)
            shown.append(effect.low > 0)
    assert 0 < sum(shown) < len(shown)


def test_blocks_made_elsewhere_and_products_of_signs_give_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(9)
    world = _world(rng, np.round(_correlated(rng, 0.5), 1), n=9, carriers=3)
    whole = neurons.find_neurons(*world, 600, 3)

    class Shares:
        """Every unit made by a process of its own, the last first."""

        halve, seconds = False, 0.0

        def each(self, units, begin, progress=False):
            assert list(units) == ["moments", "000000", "000250", "000500"]
            return [begin()(unit, None)[0] for unit in list(units.values())[::-1]][::-1]

    assert neurons.find_neurons(*world, 600, 3, chunk=33, work=Shares()).identical(whole)
    from emonb.analysis import kendall_gpu

    signs, used = kendall_gpu.SignMatrix, []
    monkeypatch.setattr(kendall_gpu, "SignMatrix", lambda rows, device: (used.append(device), signs(rows, "cpu"))[1])
    assert neurons.find_neurons(*world, 600, 3, device="cuda").identical(whole)
    assert set(used) == {"cuda"}


def test_the_effect_is_that_of_a_neuron_that_carries_and_its_interval_seldom_ends_below() -> None:
    """One of forty neurons carries the attribute, or none does; what it would show is known from many that carry it."""
    rng = np.random.default_rng(10)
    off, ruled_out = [], {0: 0, 1: 0}
    for k in range(40):
        scores = 1.5 * rng.normal(size=(1, 27))
        true = float(neurons.find_neurons(*_world(rng, scores, n=200, carriers=200), 19, 0).tau.mean())
        for carriers in ruled_out:
            found = neurons.find_neurons(*_world(rng, scores, n=40, carriers=carriers), 99, k)
            effect, best = beyond.beat_chance(found)["a0"], int(found.score.values[0, 0].argmax())
            moments = [float(found[name].values[0, 0, best]) for name in ("mean", "sd", "skew")]
            expected = true - float(normal_scores.undo_score(float(found.peak.median()), *moments))
            ruled_out[carriers] += effect.high90 < expected
            if carriers:
                off.append(effect.value - expected)
    assert abs(np.mean(off)) < 0.04 and ruled_out[0] > 25
    assert scipy.stats.binomtest(ruled_out[1], 40, 0.05, alternative="greater").pvalue > 0.001
