"""Every claim under every choice: a specification is the claim's own analysis, and what cannot be tested is not there."""

import itertools

import numpy as np
import pytest
import xarray as xr
from scipy.stats import spearmanr

from emonb.analysis import choices, importance, lesions, profile, reliance, statistics, words
from emonb.analysis import choices as maps
from emonb.analysis.choices import ENOUGH, ROTATIONS
from emonb.analysis.neurons import search_neurons
from emonb.analysis.own import best_p, count_attributes, find_own_neurons
from emonb.analysis.rdm import pair_coords, pattern_rdm, rank_halves, rank_neuron_rdms

Specified = tuple[dict[str, xr.Dataset], xr.Dataset]


EMOTIONS, ATTRIBUTES, SIZES, SEEDS = list("uvwxyz"), list("abcd"), [3, 6], [1, 3, 5, 7]


WORDS = ["tfidf", "classifier"]


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
    activations, humans = xr.Dataset({"activation": activation}), xr.Dataset({"attribute_rdm": rdm, "score": level})
    ranks = rank_halves(activations, humans)["rank"]
    return {
        "activations": activations,
        "ranks": ranks,
        "light": search_neurons(ranks.sel(seeds="all"), humans),
        "humans": humans,
        "own": find_own_neurons(ranks.sel(seeds="all"), humans, 99, 1),
        "rdms": xr.Dataset({"attribute_rdm": rdm, "human": human}),
        "words": xr.Dataset({name: human.copy(data=rng.random(len(i))) for name in WORDS}),
        "halves": xr.concat([xr.Dataset({name: human + rng.random(len(i)) for name in WORDS}) for _ in range(4)], "half"),
        "lesions": xr.Dataset(
            {"accuracy": (tuple(cells), accuracy), "baseline": (("seed", "emotion"), accuracy[0, 0, 0] + 0.6)}, cells
        ),
    }


def _one(found: xr.Dataset, claim: str, **chosen: str) -> xr.Dataset:
    mine = found.claim == claim
    for name, option in chosen.items():
        mine = mine & (found[name] == option)
    return found.isel(specification=np.flatnonzero(mine.values))


@pytest.fixture(scope="module")
def specified() -> Specified:
    study = _study(np.random.default_rng(0))
    return study, choices.specify_claims(**study, choosing_seeds=SEEDS, sizes=SIZES, seed=5)


def test_each_specification_is_the_claim_s_own_analysis(specified: Specified) -> None:
    study, found = specified
    half = study["lesions"].sel(seed=[5, 7])
    selective, random = (lesions.mask_means(half, kind, SIZES) for kind in ("selective", "random"))
    rank = study["light"]["rank"]
    related, intact = lesions.relate_masks(lesions.rank_masks(rank, SIZES)), float(half.baseline.mean())
    table = lesions.compare_masks(selective, random, related, intact)
    for n in (6, "all"):
        row = _one(found, "lesions", seeds="second half", N=str(n))
        assert [row.value.item(), row.p.item()] == pytest.approx(table.loc[n, ["value", "p"]].tolist())
        assert row.passes.item() == (row.p.item() < 0.05 and row.low.item() > 0)
    loss = -lesions.mask_means(study["lesions"], "selective", SIZES).mean("draw")
    drawn = importance.draw_importance(study["rdms"].attribute_rdm, study["rdms"].human, 999, 5)
    table = importance.loss_test(loss, drawn, 5)
    for permuted, p in (("attributes", "p"), ("emotions", "p_emotions")):
        row = _one(found, "importance", seeds="all", N="all", baseline="intact", permuted=permuted)
        assert row.p.item() == table.loc["all", p] and row.value.item() == pytest.approx(table.loc["all", "value"])
    own, other = (
        lesions.mask_means(study["lesions"], k, [6], by_emotion=True).mean("draw") for k in ("selective", "random")
    )
    standing = profile.stand_out(study["rdms"].attribute_rdm)
    cost = float(study["lesions"].baseline.mean() - other.mean())
    slope = profile.profile_test((other - own).mean("size"), standing, 999, 5, cost).slope
    row = _one(found, "profile", seeds="all", N="6", baseline="random")
    assert row.value.item() == pytest.approx(slope.value) and row.p.item() == slope.p
    patterns = study["activations"].activation.sel(layer=[2], seed=[1, 3]).mean("seed").values.reshape(6, -1)
    rho = spearmanr(pattern_rdm(patterns - patterns.mean(0)), study["rdms"].human).statistic
    row = _one(found, "structure", distance="correlation", centred="yes", layers="middle", seeds="first half")
    assert row.value.item() == pytest.approx(rho)


def test_claims_about_the_map_are_their_own_analyses(specified: Specified) -> None:
    study, found = specified
    human, attributes = study["rdms"].human, study["rdms"].attribute_rdm
    patterns = study["activations"].activation.sel(layer=[3], seed=[5, 7]).mean("seed").values.reshape(6, -1)
    model = human.copy(data=pattern_rdm(patterns, "euclidean"))
    chosen = {"distance": "euclidean", "centred": "no", "layers": "upper", "seeds": "second half"}
    for given, names in (("tfidf", ["tfidf"]), ("all", WORDS)):
        known, halves = (study[some][names].to_dataarray("given") for some in ("words", "halves"))
        row, left = _one(found, "words", **chosen, given=given), words.estimate_given(model, human, known, halves)
        assert [row.value.item(), row.low.item(), row.p.item()] == pytest.approx([left.value, left.low, left.p])
    row, alike = (
        _one(found, "reliance", **chosen),
        reliance.compare_profiles(model, human, attributes, maps.MAP_PERMUTATIONS, 5),
    )
    assert row.sizes["specification"] == 1 and row.attributes.item() == "all"  # no two scores are much alike
    assert [row.value.item(), row.p.item()] == pytest.approx([alike.value, alike.p])


def test_own_is_its_own_search_in_thirds_and_all_together(specified: Specified) -> None:
    study, found = specified
    some, humans = study["ranks"].sel(seeds="first half"), study["humans"]
    xr.testing.assert_equal(
        some.drop_vars("seeds"), rank_neuron_rdms(study["activations"].activation.sel(seed=[1, 3]), humans)
    )
    for layers, which in (("middle", [2]), ("all", [1, 2, 3])):
        whole = find_own_neurons(some.sel(layer=which), humans, ROTATIONS, 5, null=study["own"], enough=ENOUGH)
        effect = count_attributes(best_p(whole))
        row = _one(found, "own", seeds="first half", layers=layers)
        assert [row.value.item(), row.p.item()] == pytest.approx([effect.value, effect.p])


def test_what_cannot_be_tested_is_not_there() -> None:
    study = _study(np.random.default_rng(2), seeds=[1], equal=True)
    found = choices.specify_claims(**study, choosing_seeds=[1], sizes=SIZES, seed=0)
    assert set(found.claim.values) <= {"structure", "majority", "words", "reliance", "own"} and set(found.seeds.values) == {
        "all"
    }


def test_specification_curve_runs_each_sensible_combination_once() -> None:
    seen = []

    def analyse(size: int, subtract: bool) -> statistics.Estimate | None:
        seen.append((size, subtract))
        return None if size == 30 and subtract else statistics.from_t(size - 15 * subtract, 1, 20)

    curve = choices.specify({"size": [30, 10, 20], "subtract": [True, False]}, analyse)
    assert sorted(seen) == sorted(itertools.product([10, 20, 30], [False, True]))
    assert curve.value.tolist() == [-5, 5, 10, 20, 30] and curve["passes"].mean() == 0.8
    with pytest.raises(ValueError, match="makes sense"):
        choices.specify({"size": [1]}, lambda size: None)
