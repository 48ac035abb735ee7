"""Label permutations of all neurons, and neurons of an attribute's own: brute force, calibration, known truth."""

import numpy as np
import pytest
import scipy.stats
import xarray as xr

from emonb.analysis import inference, kendall, neurons, own
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
        np.testing.assert_array_equal(neurons.count_fast(*packed), kendall.count_scores(*packed))


def test_p_are_those_of_brute_force_and_the_rate_of_mantel_s_test() -> None:
    rng = np.random.default_rng(1)
    activations, humans = _world(rng, np.round(_correlated(rng, 0.5), 1), n=9, carriers=3)
    activations.activation[:, :, 0, 4] = 0.1  # never varies
    found = neurons.find_neurons(activations, humans, 199, 3, chunk=33)
    x = average_neuron_rdms(activations.activation)
    orders = inference.draw_permutations(27, 199 + neurons.N_MOMENTS, 3)
    null = np.array([kendall.tau_b(x, rows) for rows in inference.permute_rdm(humans.attribute_rdm.values, orders)])
    tau = kendall.tau_b(x, humans.attribute_rdm.values)
    np.testing.assert_allclose(found.tau.values[:, 0].T, tau)
    varies = np.arange(9) != 4
    moments, test = null[:500, varies], null[500:, varies]
    p = ((test >= tau[varies] - 1e-12).sum(0) + 1) / 200
    np.testing.assert_allclose(found.p.values[:, 0, varies].T, p)
    q = np.stack([scipy.stats.false_discovery_control(column) for column in found.p.values[:, 0]])
    np.testing.assert_allclose(found.q.values[:, 0], q)
    mean, sd, skew = moments.mean(0), moments.std(0), scipy.stats.skew(moments, axis=0)

    def normal(values: np.ndarray) -> np.ndarray:
        z = (values - mean) / sd
        return np.where(z > 1, (np.cbrt(skew * z / 2 + 1) - 1) * 6 / skew + skew / 6, z)

    peaks = normal(test).max(1)
    fwe = ((peaks[:, None] >= normal(tau[varies]) - 1e-9).sum(0) + 1) / 200
    np.testing.assert_allclose(found.p_fwe.values[:, 0, varies].T, fwe)
    beyond, counts = (normal(tau[varies]) >= neurons.NORMAL_05).sum(0), (normal(test) >= neurons.NORMAL_05).sum(1)
    np.testing.assert_array_equal(found.beyond, beyond)
    np.testing.assert_allclose(found.beyond_null, counts.mean(0))
    np.testing.assert_allclose(found.beyond_p, ((counts >= beyond).sum(0) + 1) / 200)
    assert (found.p[:, 0, 4] == 1).all() and (found.p_fwe[:, 0, 4] == 1).all()


def test_normal_scores_are_normal_in_the_tail_of_skewed_null_distributions() -> None:
    rng = np.random.default_rng(2)
    values = scipy.stats.gamma.rvs(6, size=200_000, random_state=rng)
    z = neurons._normal_scores(values[:, None], *(m * np.ones((200_000, 1)) for m in (6, np.sqrt(6), 2 / np.sqrt(6))))
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
    with pytest.raises(ValueError, match="predict an attribute's scores fully"):
        own.rotate_scores(scores[0] + scores[1], scores[:2], 3, 0)
