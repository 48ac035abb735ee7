"""Numbers that independent computations on the released files gave, met by the analyses of the instrument."""

import pytest
import xarray as xr

from emonb.analysis import reliance, structure, words
from emonb.run.runs import Run, open_run

pytestmark = pytest.mark.published


@pytest.fixture(scope="module")
def run(shared_store: None) -> Run:
    return open_run("published", progress=False)


def test_structure_centred_crossvalidated_and_within_pleasant_and_unpleasant(run: Run) -> None:
    humans, rdms, activation = run.load("humans"), run.load("rdms"), run.load("activations").activation
    model = rdms.model.sel(distance="correlation")
    fit = structure.fit_rdms(structure.centred_rdm(activation, humans), rdms.human, 999, 0)
    assert (fit.value, fit.p) == (pytest.approx(0.644, abs=5e-4), 1 / 1000)
    made = structure.crossvalidated_rdms(activation, humans)
    for name, rho in {"euclidean": 0.512, "crossnobis": 0.477, "correlation": 0.614}.items():
        assert structure.rank_correlation(made[name].values, rdms.human.values) == pytest.approx(rho, abs=1e-3)
    groups = structure.split_at_middle(humans.score.sel(attribute="valence"))
    within = structure.fit_within(model, rdms.human, groups, 999, 0)
    assert [len(groups[half]) for half in ("above", "below")] == [15, 12]
    assert within["above"].value == pytest.approx(0.411, abs=5e-4)
    assert within["below"].value == pytest.approx(0.076, abs=5e-4)
    assert structure.seed_reliability(activation, humans, 100, 0) == pytest.approx(0.55, abs=0.03)
    assert structure.seed_reliability(activation, humans, 100, 0, centre=True) == pytest.approx(0.79, abs=0.03)


def test_reliance_is_that_of_people(run: Run) -> None:
    rdms = run.load("rdms")
    found = reliance.compare_profiles(rdms.model.sel(distance="correlation"), rdms.human, rdms.attribute_rdm, 2999, 0)
    assert found.value == pytest.approx(0.862, abs=5e-4)
    assert found.p_greater == pytest.approx(0.0014, abs=0.0015)
    centred = structure.centred_rdm(run.load("activations").activation, run.load("humans"))
    same = reliance.compare_profiles(centred, rdms.human, rdms.attribute_rdm, 999, 0)
    assert same.value == pytest.approx(0.977, abs=1e-3)
    followed = [reliance.step_down(rdms.attribute_rdm, r, 2999, 0)["p_fwe"] < 0.05 for r in (rdms.human, centred)]
    assert followed[0].sum() == 7 and (followed[0] == followed[1]).all()


def test_a_bag_of_words_fits_people_as_well_and_the_model_adds_to_it(run: Run) -> None:
    humans, rdms, comments = run.load("humans"), run.load("rdms"), run.load("comments")
    trained = words.classifier_rdms(comments, humans, 3, 0)
    counted = words.label_rdms(comments, humans, 10, 0)
    rho = {
        k: structure.rank_correlation(v.values, rdms.human.values) for k, v in {**trained, **counted}.items() if v.ndim == 1
    }
    assert rho["weights"] == pytest.approx(0.565, abs=0.04)
    assert rho["profiles"] == pytest.approx(0.542, abs=0.04)
    assert rho["tfidf"] == pytest.approx(0.467, abs=0.01)
    given = xr.Dataset({"weights": trained.weights, **counted}).to_dataarray("given")
    left = words.permute_residuals(rdms.model.sel(distance="correlation"), rdms.human, given, 999, 0)
    assert left.value == pytest.approx(0.37, abs=0.04)
    assert left.p < 0.01
