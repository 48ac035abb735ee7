"""Keys of real stages, in both directions: what a stage runs is in its key, and what it does not run is not.

Which modules a stage runs is found out by tracing while it is made, for a small live study and for the planted control.
"""

import gc
import inspect
import sys
from collections import defaultdict
from pathlib import Path

import pytest

from emonb import artifacts
from emonb.model.backbone import Live
from emonb.paths import data_dir
from emonb.run.runs import Run
from emonb.run.stages import COMMITTED, LIVE, STAGES, Stage, stage_of, stages_of
from emonb.study import Study, load_study

PACKAGE = Path(artifacts.__file__).parent
MODULES = {".".join(["emonb", *p.relative_to(PACKAGE).with_suffix("").parts]) for p in PACKAGE.rglob("*.py")}
SMALL = {"seeds": [1, 3], "world.steps": 60, "tuning.examples": 16, "lesions.examples": 8,
         "lesions.draws": 1, "lesions.selection_seeds": [1], "inference.searchlight_permutations": 19}  # fmt: skip


def _trace(run: Run, name: str, ran: set[str]) -> object:
    """Make a stage, and note the modules of ours that run meanwhile."""
    stage = stage_of(name, run.study)
    arguments = stage.gather({a: g.get(run) for a, g in stage.given.items()} | ({"work": None} if stage.units else {}))
    function = stage.function()

    def note(frame, event, argument):
        module = frame.f_globals.get("__name__", "")
        if module in MODULES and frame.f_code.co_name != "<module>":
            ran.add(module)

    gc.collect()  # what earlier tests left running ends here, and not while this stage is made
    sys.setprofile(note)
    try:
        return function(**arguments)
    finally:
        sys.setprofile(None)


@pytest.fixture(scope="module")
def traced(tmp_path_factory: pytest.TempPathFactory) -> tuple[Run, dict[str, set[str]]]:
    """Every stage of a small planted study made, and the modules of ours that ran meanwhile."""
    patch = pytest.MonkeyPatch()
    patch.setenv("EMONB_RUNS", str(tmp_path_factory.mktemp("runs")))
    fields = load_study("control").model_dump(mode="json")
    fields["world"]["comments"] = {"train": 20, "dev": 10, "test": 10}
    run = Run(load_study(Study.model_validate(fields), **SMALL), progress=False)
    ran: dict[str, set[str]] = defaultdict(set)
    for name in stages_of(run.study):
        run._loaded[name] = _trace(run, name, ran[name])
    patch.undo()
    return run, ran


def test_every_module_a_stage_runs_is_in_its_key(traced) -> None:
    run, ran = traced
    assert set(ran) == set(stages_of(run.study))
    for name, modules in ran.items():
        assert stage_of(name, run.study).module in modules  # the tracing works
        hashed = set(artifacts.code_modules(stage_of(name, run.study).module))
        assert modules - set(artifacts.DECLARATIONS) <= hashed, name


@pytest.mark.published
@pytest.mark.parametrize("study", ["published", "minilm"])
def test_stages_that_read_what_is_released_or_committed_run_nothing_else(study: str, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("EMONB_RUNS", str(tmp_path))
    run = Run(load_study(study, **({"seeds": [1, 3]} if study == "published" else {})), progress=False)
    reading = [name for name in stages_of(run.study) if stage_of(name, run.study).module.startswith("emonb.data")]
    assert {"humans", "comments", "prompts", "lesions"} <= set(reading)
    for name in reading:
        ran: set[str] = set()
        _trace(run, name, ran)
        module = stage_of(name, run.study).module
        assert module in ran and ran - set(artifacts.DECLARATIONS) <= set(artifacts.code_modules(module)), name


@pytest.mark.parametrize("name", sorted({*STAGES, *LIVE}))
def test_a_change_in_each_module_changes_the_key_of_those_stages_that_may_run_it(name: str, traced, monkeypatch) -> None:
    _, ran = traced
    digest = artifacts.source_digest
    for stage in [table[name] for table in (STAGES, LIVE, COMMITTED) if name in table]:
        hashed = artifacts.code_modules(stage.module)
        before = artifacts.code_digest(stage.module)
        for module in sorted(MODULES):
            with monkeypatch.context() as patch:
                patch.setattr(artifacts, "source_digest", lambda m, module=module: "changed" if m == module else digest(m))
                assert (artifacts.code_digest(stage.module) != before) == (module in hashed), (name, module)
        for folder in ("emonb.book", "emonb.run", "emonb.cli"):  # tables, figures, prose
            assert not [module for module in hashed if module.startswith(folder)], (name, hashed)
        if stage.module.startswith("emonb.model"):  # what retrains a network
            assert not [m for m in hashed if m.startswith(("emonb.analysis", "emonb.world")) and m not in ran.get(name, ())]


def test_the_planted_network_is_not_made_again_for_a_table(monkeypatch: pytest.MonkeyPatch) -> None:
    hashed = {*artifacts.code_modules("emonb.world.network"), *artifacts.code_modules("emonb.world.world")}
    assert {"emonb.world.network", "emonb.world.world"} <= hashed
    assert not [m for m in hashed if m.startswith(("emonb.book", "emonb.run")) or ".tau" in m or "statistics" in m]


def test_a_new_cue_word_is_another_world(monkeypatch: pytest.MonkeyPatch) -> None:
    from emonb.world import files

    study = load_study("control")
    before = [files.fingerprint(study, name) for name in ("planted:train", files.BACKBONE)]
    digest = artifacts.file_digest
    monkeypatch.setattr(artifacts, "file_digest", lambda p: "changed" if p == data_dir() / "world.yml" else digest(p))
    after = [files.fingerprint(study, name) for name in ("planted:train", files.BACKBONE)]
    assert not set(before) & set(after)


@pytest.mark.parametrize("stage", [*STAGES.values(), *LIVE.values(), *COMMITTED.values()], ids=lambda stage: stage.make)
def test_stages_name_functions_of_their_own_module_and_all_of_their_arguments(stage: Stage) -> None:
    function = stage.function()
    function = inspect.unwrap(function)
    assert function.__module__ == stage.module
    parameters = inspect.signature(function).parameters
    given = {"live", *stage.given} - set(Live._fields) if stage.live else set(stage.given)
    assert given <= set(parameters)
    assert {n for n, p in parameters.items() if p.default is p.empty} <= given
    assert not stage.live or set(Live._fields) <= set(stage.given)


def test_what_is_in_no_key_is_how_the_work_is_done() -> None:
    stages = [stage for table in (STAGES, LIVE, COMMITTED) for stage in table.values()]
    unkeyed = {name for stage in stages for name, given in stage.given.items() if given.key is None}
    assert unkeyed == {"device", "threads", "progress"}
    in_parts = {name for table in (STAGES, LIVE, COMMITTED) for name, stage in table.items() if stage.units}
    assert in_parts == {"prompts", "lesions", "bijections", "dose", "wordless"}


def test_fields_a_stage_reads_are_in_its_key_and_others_are_not() -> None:
    control = Run(load_study("control"))
    swept = {"masks", "lesions", "bijections", "dose", "specifications"}
    for field, value, changed in (
        (
            "tuning.epochs",
            5,
            {
                "prompts",
                "activations",
                "activations_in_use",
                "rdms",
                "neuron_rdms",
                "searchlight",
                "searchlight_null",
                "own_neurons",
                *swept,
            },
        ),
        ("lesions.draws", 5, swept),
        ("lesions.examples", 12, {"lesions", "bijections", "dose", "specifications", "activations_in_use"}),
        ("inference.permutations", 99, set()),
        ("inference.bijections", 3, {"bijections"}),
        ("device", "cuda", set()),
        ("title", "another", set()),
    ):
        other = Run(load_study("control", **{field: value}))
        found = {name for name in stages_of(control.study) if control.key(name) != other.key(name)}
        assert found == changed, field


def test_a_local_file_is_known_by_its_content_and_not_by_its_path(tmp_path: Path) -> None:
    keys = []
    for folder, text in (("a", "x"), ("b", "x"), ("c", "y")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "order").write_text(text)
        study = load_study("published", **{"humans.agreement": f"local:{tmp_path / folder / 'order'}"})
        keys.append(Run(study).key("humans"))
    assert keys[0] == keys[1] != keys[2]
    (tmp_path / "a" / "order").write_text("z")
    assert (
        Run(load_study("published", **{"humans.agreement": f"local:{tmp_path / 'a' / 'order'}"})).key("humans") not in keys
    )


def test_weights_in_a_folder_are_known_by_their_content(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr("emonb.data.weights._check_whole", lambda folder: None)  # these are no weights
    changes = {"backbone.name": str(tmp_path), "backbone.revision": ""}
    keys = []
    for content in (b"one", b"two", b"one"):
        (tmp_path / "model.safetensors").write_bytes(content)
        keys.append(Run(load_study("control", **changes)).key("prompts"))
    assert keys[0] == keys[2] != keys[1]
    (tmp_path / "tokenizer.json").write_text("{}")
    assert Run(load_study("control", **changes)).key("prompts") not in keys


def test_committed_results_are_known_by_content_and_bound_to_the_settings_that_made_them(
    tmp_path: Path, monkeypatch
) -> None:
    from emonb.data import sources

    listed = sources.registry()
    monkeypatch.setattr(sources, "registry", lambda path=None: listed)
    monkeypatch.setattr(sources, "data_dir", lambda: tmp_path)
    study = load_study("minilm", seeds=[1, 3])
    missing = Run(study).key("prompts")
    path = tmp_path / "minilm" / "prompts" / "seed-1.json"
    path.parent.mkdir(parents=True)
    path.write_text("{}")
    there = Run(study).key("prompts")
    assert there != missing
    other = {"tuning.epochs": 5, "backbone.temperature": 0.5, "prompt_length": 3}
    changed = {Run(load_study(study, **{field: value})).key("prompts") for field, value in other.items()}
    assert len({there, *changed}) == 4
    assert Run(load_study(study, title="x", device="cuda")).key("prompts") == there
