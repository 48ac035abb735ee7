"""Two networks side by side: outcomes of pairs of verdicts, differences, ablations and doses on made-up lesions."""

import numpy as np
import pytest
import scipy.stats
import xarray as xr

from emonb.analysis import ablations
from emonb.book import networks
from emonb.book.ledger import declarations

DECLARED = declarations()


def _entry(holds: str, estimate: float | None = 0.3, low: float | None = 0.1, high: float | None = 0.5, **more) -> dict:
    ends = {"estimate": estimate, "low": low, "high": high, "low90": low, "high90": high, "p": 0.01, "side": "two-sided"}
    return {"holds": holds, "reproduced": "not printed", "n": 27, "unit": "emotion", **ends, **more}


def _ledgers(first: dict | None, second: dict | None, claim: str = "structure") -> dict:
    claims = [{} if entry is None else {claim: entry} for entry in (first, second)]
    return {name: {"claims": mine, "quantities": {}} for name, mine in zip(("published", "minilm"), claims, strict=True)}


def _pair(first: dict | None, second: dict | None, claim: str = "structure") -> networks.Pair:
    pairs = networks.pair_claims(DECLARED, _ledgers(first, second, claim))
    return next(pair for pair in pairs if pair.claim.id == claim)


@pytest.mark.parametrize(
    ("first", "second", "outcome", "words"),
    [("yes", "yes", "both hold", "Shown in both"),
     ("yes", "yes, too small to matter", "both hold", "Shown in both"),
     ("no", "no", "neither holds", "ruled out in both"),
     ("yes", "no", "differ", "Shown in RoBERTa and ruled out in MiniLM"),
     ("no", "yes", "differ", "Shown in MiniLM and ruled out in RoBERTa"),
     ("undecided", "yes", "shown in one", "Shown in MiniLM; RoBERTa can neither"),
     ("no", "undecided", "ruled out in one", "Ruled out in RoBERTa; MiniLM can neither"),
     ("undecided", "undecided", "open", "more emotions or judges would"),
     ("yes", "not tested", "not yet", "Tested in RoBERTa only: yes"),
     ("not tested", "undecided", "not yet", "Tested in MiniLM only: undecided"),
     ("not tested", None, "not yet", "Not tested in both")],
)  # fmt: skip
def test_two_verdicts_have_one_meaning(first: str, second: str | None, outcome: str, words: str) -> None:
    pair = _pair(_entry(first), None if second is None else _entry(second))
    assert pair.outcome == outcome
    assert words in pair.say()
    counts = networks.count_outcomes(networks.pair_claims(DECLARED, _ledgers(*pair.entries)))
    assert counts[outcome.replace(" ", "_")] >= 1
    assert counts["judged"] == (outcome != "not yet")
    assert words in str(networks.pair_table([pair]))


def test_a_difference_has_the_interval_of_independent_effects() -> None:
    pair = _pair(_entry("yes", 0.5, 0.2, 0.8), _entry("no", 0.0, -0.4, 0.4))
    assert pair.difference() == pytest.approx((-0.5, -1.0, 0.0))  # half widths .3 and .4: .5
    assert "That the two effects differ is not shown" in pair.say()
    assert "The two effects differ" in _pair(_entry("yes", 0.5, 0.4, 0.6), _entry("no", 0.0, -0.1, 0.1)).say()
    near, far = _pair(_entry("yes"), _entry("no")), _pair(_entry("yes", 0.5, 0.4, 0.6), _entry("no", 0.0, -0.1, 0.1))
    counts = networks.count_differences([near, far, _pair(_entry("yes"), None)])
    assert counts == {"compared": 2, "apart": 1}
    assert _pair(_entry("yes", low=None), _entry("yes")).difference() is None
    assert _pair(_entry("yes"), None).difference() is None


def test_a_count_is_shown_or_open_like_any_claim() -> None:
    pair = _pair(_entry("yes", 2, None, None, of=14), _entry("undecided", 0, None, None, of=14), "own")
    assert pair.outcome == "shown in one" and pair.difference() is None
    assert pair.say() == "Shown in RoBERTa; MiniLM can neither confirm nor contradict it."
    small = _pair(_entry("yes, too small to matter", 0.1, 0.05, 0.15), _entry("no", 0.0, -0.1, 0.1))
    assert small.outcome == "differ" and small.say().startswith("Shown in RoBERTa and ruled out in MiniLM")


def test_baselines_that_are_not_known_are_left_out_and_a_gain_s_interval_is_not_a_fit_s() -> None:
    quantities = {"minilm.knowledge.untrained.fit": 0.3, "minilm.knowledge.untrained.accuracy": 0.7,
                  "minilm.knowledge.untrained.value": 0.2, "minilm.knowledge.untrained.low": 0.1,
                  "minilm.knowledge.untrained.high": 0.3, "published.words.classifier.rho": 0.56,
                  "published.words.classifier.low": 0.4, "published.words.classifier.high": 0.7}  # fmt: skip
    found = networks.find_baselines(quantities)
    assert found.index.tolist() == ["prompts on MiniLM, all random", "bag-of-words classifiers"]
    np.testing.assert_array_equal(found["low"], [np.nan, 0.4])


@pytest.fixture
def lesions() -> xr.Dataset:
    """Three attributes, one selective and four random masks each; one random mask leaves the network at chance."""
    rng = np.random.default_rng(0)
    kinds, attributes, draws = np.array([(kind, a, d) for a in "abc" for kind, n in (("selective", 1), ("random", 4))
                                         for d in range(n)]).T  # fmt: skip
    value = 0.7 + 0.01 * rng.normal(size=(15, 2, 5))
    value[4] = 0.5
    dims = ("mask", "seed", "emotion")
    labels = {"kind": kinds, "attribute": attributes, "size": np.full(15, 8), "draw": draws.astype(int)}
    coords = {f"mask_{name}": ("mask", column) for name, column in labels.items()} | {"attribute": list("abc")}
    return xr.Dataset({"mask_accuracy": (dims, value), "mask_auc": (dims, value + 0.1)}, coords)


def _own() -> xr.Dataset:
    """The selective masks of three attributes."""
    labels = {"kind": ["selective"] * 3, "attribute": list("abc"), "size": [8] * 3, "draw": [0] * 3}
    silenced = np.random.default_rng(0).random((3, 1, 40)) < 0.2
    return xr.Dataset(
        {"silenced": (("mask", "layer", "neuron"), silenced)}, {name: ("mask", column) for name, column in labels.items()}
    )


def test_masks_that_leave_nothing_are_counted_and_the_rest_compared(lesions: xr.Dataset) -> None:
    masks = ablations.tabulate_masks({"zero": lesions}, 8)
    table = ablations.compare_ablations({"zero": lesions}, _own(), 8, ["random"]).loc["zero"]
    assert len(masks) == 30
    for measure, row in table.groupby(level="measure"):
        mine = masks[masks["measure"] == measure].set_index("kind")["value"]
        assert row["value"].item() == pytest.approx(mine["random"].mean() - mine["selective"].mean())
        assert (row["unable"].item(), row["unable_random"].item()) == (0, pytest.approx(1 / 12))
        working = mine["random"][mine["random"] > (0.51 if measure == "accuracy" else 0.61)]
        assert row["rest"].item() == pytest.approx(working.mean() - mine["selective"].mean())


def test_doses_are_averaged_over_masks_and_compared_attribute_by_attribute() -> None:
    rng = np.random.default_rng(1)
    values = rng.random((8, 3, 2, 5))
    arrays = {"accuracy": (("mask", "dose", "seed", "emotion"), values), "only_accuracy": (("mask", "seed", "emotion"),
              values[:, 0] / 2)}  # fmt: skip
    labels = {"kind": ("mask", ["selective", "random"] * 4), "attribute": ("mask", list("aabbccdd"))}
    dose = xr.Dataset(arrays, {"dose": [0.0, 1.0, 2.0], **labels})
    found, compared = ablations.summarise_doses(dose), ablations.compare_doses(dose, "random")
    means = values.mean((2, 3))
    assert found.loc[("selective", "2"), "value"] == pytest.approx(means[::2, 2].mean())
    assert found.loc[("random", "only"), "value"] == pytest.approx(means[1::2, 0].mean() / 2)
    expected = scipy.stats.ttest_rel(means[1::2, 1], means[::2, 1])
    assert compared.loc["1", "p"] == pytest.approx(expected.pvalue)
    assert compared.loc["1", ["low", "high"]].tolist() == pytest.approx(list(expected.confidence_interval()))
    with pytest.raises(ValueError, match="not of the same attributes"):
        ablations.compare_doses(dose.isel(mask=[0, 3]), "random")
