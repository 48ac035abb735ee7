"""The claims under every choice: each specification is the claim's own analysis, and what cannot be tested is not there."""

import numpy as np
import pytest
import xarray as xr
from scipy.stats import spearmanr

from emonb.analysis import importance, populations, specifications, specificity
from emonb.analysis.rdm import pair_coords, pattern_rdm

EMOTIONS, ATTRIBUTES, SIZES, SEEDS = list("uvwxyz"), list("abcd"), [3, 6], [1, 3, 5, 7]


def _study(rng: np.random.Generator, seeds: list[int] = SEEDS, equal: bool = False) -> dict[str, xr.Dataset]:
    n, (i, j) = len(EMOTIONS), np.triu_indices(len(EMOTIONS), 1)
    pairs, score = pair_coords(EMOTIONS), rng.random((n, 4))
    labels = {"seed": seeds, "emotion": EMOTIONS, "layer": [1, 2, 3], "neuron": range(5)}
    activation = xr.DataArray(rng.normal(size=[len(v) for v in labels.values()]), labels, tuple(labels))
    rdm = xr.DataArray(np.abs(score[i] - score[j]).T, {"attribute": ATTRIBUTES, **pairs}, ("attribute", "pair"))
    human = xr.DataArray(rng.random(len(i)), pairs, ("pair",))
    cells = {"kind": ["selective", "random"], "attribute": ATTRIBUTES, "size": SIZES, "seed": seeds, "emotion": EMOTIONS}
    accuracy = rng.random([len(v) for v in cells.values()]) * (not equal) + 0.5
    level = xr.DataArray(score, {"emotion": EMOTIONS, "attribute": ATTRIBUTES}, ("emotion", "attribute"))
    return {
        "activations": xr.Dataset({"activation": activation}),
        "humans": xr.Dataset({"attribute_rdm": rdm, "score": level}),
        "rdms": xr.Dataset({"attribute_rdm": rdm, "human": human}),
        "lesions": xr.Dataset({"accuracy": (tuple(cells), accuracy)}, cells),
    }


def _one(found: xr.Dataset, claim: str, **chosen: str) -> xr.Dataset:
    mine = found.claim == claim
    for name, option in chosen.items():
        mine = mine & (found[name] == option)
    return found.isel(specification=np.flatnonzero(mine.values))


def test_each_specification_is_the_claim_s_own_analysis() -> None:
    study = _study(np.random.default_rng(0))
    found = specifications.specify_claims(**study, choosing_seeds=SEEDS, sizes=SIZES, seed=5)
    half = study["lesions"].sel(seed=[5, 7])
    selective, random = (populations.mask_means(half, kind, SIZES) for kind in ("selective", "random"))
    for claim, table in (
        ("lesions", populations.compare_fixed(selective, random)),
        ("lesions-general", populations.compare_sampled(selective, random)),
    ):
        for n in (6, "all"):
            row = _one(found, claim, seeds="second half", N=str(n), depth="no" if claim == "lesions-general" else "")
            assert row.value.item() == pytest.approx(table.loc[n, "value"]) and row.p.item() == pytest.approx(
                table.loc[n, "p"]
            )
            assert row.passes.item() == (row.p.item() < 0.05 and row.low.item() > 0)
    assert _one(found, "lesions", N="area").sizes["specification"] == 3  # all seeds and both halves
    assert _one(found, "lesions-general", depth="adjusted", N="area").sizes["specification"] == 0
    loss = -populations.mask_means(study["lesions"], "selective", SIZES).mean("draw")
    drawn = importance.draw_importance(study["rdms"].attribute_rdm, study["rdms"].human, 999, 5)
    table = importance.test_loss(loss, drawn, 5)
    for permuted, p in (("attributes", "p"), ("emotions", "p_emotions")):
        row = _one(found, "importance", seeds="all", N="all", baseline="intact", permuted=permuted)
        assert row.p.item() == table.loc["all", p] and row.value.item() == pytest.approx(table.loc["all", "value"])
    own, other = (
        populations.mask_means(study["lesions"], k, [6], by_emotion=True).mean("draw") for k in ("selective", "random")
    )
    level = study["humans"].score.T
    slope = specificity.test_specificity((other - own).mean("size"), level, 999, 5).slope
    row = _one(found, "specificity", seeds="all", N="6", baseline="random")
    assert row.value.item() == pytest.approx(slope.value) and row.p.item() == slope.p
    patterns = study["activations"].activation.sel(layer=[2], seed=[1, 3]).mean("seed").values.reshape(6, -1)
    rho = spearmanr(pattern_rdm(patterns - patterns.mean(0)), study["rdms"].human).statistic
    row = _one(found, "structure", distance="correlation", centred="yes", layers="middle", seeds="first half")
    assert row.value.item() == pytest.approx(rho)


def test_the_structure_s_p_is_the_share_of_permuted_emotions() -> None:
    rng, p = np.random.default_rng(1), []
    orders = np.array([rng.permutation(8) for _ in range(199)])
    for _ in range(300):
        p.append(specifications._fit(rng.random(28), rng.random(28), orders).p)
    assert 0.02 <= np.mean(np.array(p) < 0.05) <= 0.09
    rdm = rng.random(28)
    assert specifications._fit(rdm, rdm + 0.01 * rng.random(28), orders).p < 0.01


def test_what_cannot_be_tested_is_not_there() -> None:
    study = _study(np.random.default_rng(2), seeds=[1], equal=True)
    found = specifications.specify_claims(**study, choosing_seeds=[1], sizes=SIZES, seed=0)
    assert set(found.claim.values) <= {"structure", "majority"} and set(found.seeds.values) == {"all"}
