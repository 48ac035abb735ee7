"""A whole live study, tiny, from its own files: the same chapters as the published edition, by papermill and by CLI."""

import json
from pathlib import Path

import numpy as np
import papermill
import pytest
import tiny
import xarray as xr
import yaml

from emonb import paths
from emonb.book.ledger import declarations
from emonb.data import sources
from emonb.errors import LabelError, SourceError, StudyError
from emonb.run import committing, editions
from emonb.run.runs import Run
from emonb.run.stages import study_files
from emonb.study import load_study

pytestmark = pytest.mark.usefixtures("own_runs")


@pytest.fixture(scope="module")
def study_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.save_study(tmp_path_factory.mktemp("live"))


def test_stages_are_computed_in_the_released_form(study_file: Path) -> None:
    run = Run(load_study(str(study_file)), progress=False)
    assert set(run.load("activations").activation.dims) == {"seed", "emotion", "layer", "neuron"}
    assert set(run.load("prompts").accuracy.dims) == {"seed", "emotion"}
    assert float(run.load("prompts").accuracy.mean()) > 0.55
    lesions = run.load("lesions")
    assert lesions.accuracy.dims == ("kind", "attribute", "size", "seed", "emotion")
    assert lesions.sizes["mask"] == 2 * 3 * (1 + 3 * 3)
    one = (lesions.mask_kind == "random") & (lesions.mask_attribute == "odd") & (lesions.mask_size == 16)
    np.testing.assert_allclose(
        lesions.accuracy.sel(kind="random", attribute="odd", size=16), lesions.mask_accuracy.values[one.values].mean(0)
    )
    assert run.path("lesions").parent == paths.store_dir() and not list(paths.store_dir().glob("work/*"))
    assert [path.name for path in run.folder.iterdir()] == ["study.json"]


def test_all_chapters_run_for_a_live_study_and_show_it(study_file: Path) -> None:
    folder = editions.run_edition(str(study_file))
    record = json.loads((folder / "claims.json").read_text())
    assert set(record["claims"]) == {claim.id for claim in declarations().claims}
    assert "lesions.controls.random_matched.auc.p" in record["quantities"]
    assert record["quantities"]["prompts.mean.value"] > 0.5
    pictures = ("structure", "attributes", "lesions")
    assert all('class=\\"interactive\\"' in (folder / f"{name}.ipynb").read_text() for name in pictures)


def test_plain_papermill_and_the_command_do_the_same(study_file: Path, tmp_path: Path) -> None:
    editions.run_edition(str(study_file), {"seeds": [1, 3], "device": "cpu"}, ("prompts",))
    run = Run(load_study(str(study_file), seeds=[1, 3], device="cpu"))
    ours = editions.read_record(run, "prompts")
    notebook = paths.book_dir() / "published" / "prompts.ipynb"
    parameters = {"study": str(study_file), "seeds": "[1, 3]", "device": "cpu"}  # as text: papermill's command line
    papermill.execute_notebook(str(notebook), str(tmp_path / "out.ipynb"), parameters, progress_bar=False)
    by_hand = json.loads((run.folder / "scratch" / "prompts.json").read_text())
    assert ours["quantities"].items() <= by_hand["quantities"].items()  # the published notebook has cells of its own too
    assert ours["quantities"]["prompts.accuracy"] > 0.5


def test_an_untrained_network_of_the_same_shape_is_one_more_baseline(study_file: Path) -> None:
    fields = yaml.safe_load(study_file.read_text())
    fields.update(name="loaded", untrained_baseline=True)
    fields["backbone"]["seed"] = 1  # the tiny model itself was drawn with seed 0
    fields["backbone"]["seed"] = 9  # not the one its trained network was drawn with
    path = study_file.with_name("loaded.yml")
    path.write_text(yaml.safe_dump(fields))
    run = Run(load_study(str(path)), progress=False)
    trained, untrained = run.load("rdms"), run.untrained().load("rdms")
    assert float(abs(trained.model - untrained.model).max()) > 0.01
    assert run.untrained().key("word_rdms") == run.key("word_rdms")
    editions.run_edition(str(path), chapters=("structure",))
    record = editions.read_record(run, "structure")
    assert {f"knowledge.gain.{end}" for end in ("value", "low", "low90", "p")} <= set(record["quantities"])
    assert "knowledge.untrained.accuracy" in record["quantities"]


def test_what_was_computed_once_is_committed_and_read_again(study_file: Path, tmp_path: Path, monkeypatch) -> None:
    fields = yaml.safe_load(study_file.read_text())
    origins = {"prompts": "committed", "activations": "computed", "masks": "committed", "lesions": "committed"}
    recipes = {"untrained": {"seeds": [1, 3], "tuning.epochs": 1}, "layers": {"backbone.random": "layers"}}
    fields["lesions"]["comparisons"] = ["random", "random_matched", "random_norm"]
    fields["inference"] = {**fields.get("inference", {}), "bijections": 3}
    fields.update(name="kept", stages=origins, committed="kept", untrained_baseline=True, baselines=recipes)
    path, listed = study_file.with_name("kept.yml"), sources.registry()
    path.write_text(yaml.safe_dump(fields, sort_keys=False))
    monkeypatch.setattr(sources, "registry", lambda path=None: listed)
    for module in (sources, committing):
        monkeypatch.setattr(module, "data_dir", lambda: tmp_path)
    study = load_study(str(path))
    with pytest.raises(SourceError, match=r"data/kept/prompts/seed-1.json is not committed \(there: nothing\)"):
        Run(study, progress=False).load("prompts")
    written = [str(p.relative_to(tmp_path / "kept")) for p in committing.commit_results(str(path), {})]
    seeds = {"prompts": (1, 3, 5), "untrained/prompts": (1, 3), "layers/prompts": (1, 3, 5)}
    expected = [f"{folder}/seed-{seed}.json" for folder, some in seeds.items() for seed in some]
    expected += ["masks.json", "lesions-zero.json", "bijections.json", "dose.json", "activations_in_use.json"]
    assert written == expected
    run = Run(study, progress=False)
    masks = Run(load_study(study, **{"stages.masks": "computed"}), progress=False)
    xr.testing.assert_identical(run.load("masks").silenced.drop_attrs(), masks.load("masks").silenced.drop_attrs())
    anew = Run(load_study(study, **{"stages.lesions": "computed"}), progress=False)
    xr.testing.assert_allclose(run.load("lesions").drop_attrs(), anew.load("lesions").drop_attrs(), atol=0.05)
    xr.testing.assert_allclose(run.load("dose").drop_attrs(), anew.load("dose").drop_attrs(), atol=0.05)
    xr.testing.assert_allclose(run.load("bijections").drop_attrs(), anew.load("bijections").drop_attrs(), atol=0.05)
    assert run.untrained().study.seeds == (1, 3) and run.untrained("layers").load("rdms").sizes["pair"] == 28
    assert run.used.keys() >= {"untrained/layers/rdms", "untrained/layers/prompts"}
    assert all(run.is_as_used(name, checksum) for name, checksum in run.used.items())
    with pytest.raises(StudyError, match=r"has no baseline 'other'; known: untrained, layers"):
        run.untrained("other")
    for change, said in {"tuning.batch": "tuning.batch was 8", "seeds": r"prompts.seeds was \[1, 3, 5\]"}.items():
        other = Run(load_study(study, **{change: 4 if change == "tuning.batch" else [1, 3]}), progress=False)
        with pytest.raises(StudyError, match=f"made with other settings: .*{said}"):
            other.load("lesions")


def test_what_does_not_fit_is_said_before_any_work(study_file: Path, tmp_path: Path) -> None:
    study = load_study(str(study_file), neurons=12, sizes=[8], size=8)
    with pytest.raises(LabelError, match="2 layers of 24 FFN neurons, the study declares 2 of 12"):
        Run(study, progress=False).load("prompts")
    with pytest.raises(StudyError, match="take up to 71 positions from 0; the model has 40"):
        Run(load_study(str(study_file), prompt_length=60), progress=False).load("prompts")
    fields = yaml.safe_load(study_file.read_text())
    fields.pop("backbone")
    (tmp_path / "x.yml").write_text(yaml.safe_dump(fields))
    with pytest.raises(StudyError, match="no 'backbone' section"):
        load_study(str(tmp_path / "x.yml"))
    assert all(name.startswith("local:") for name in study_files(load_study(str(study_file))))


def test_the_full_live_study_is_configured_as_the_protocol_says() -> None:
    study = load_study("roberta-base", seeds=[1, 3], device="cpu")
    assert (study.layers, study.neurons, study.prompt_length) == (12, 3072, 100)
    assert study.backbone is not None
    assert (study.tuning.learning_rate, study.tuning.epochs, study.tuning.batch) == (2e-3, 2, 16)
    assert len(study.backbone.revision) == 40
    assert study.released is None
    assert study.selection_seeds == (1,)  # neurons are chosen with other prompts than are lesioned
    whole, published = load_study("roberta-base"), load_study("published")
    assert whole.selection_seeds == published.seeds[:6]
    for shared in ("emotions", "attributes", "seeds", "sizes", "humans", "corpus"):
        assert getattr(whole, shared) == getattr(published, shared)
