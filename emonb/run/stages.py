"""The stages of a study by name of the result each makes: its function, and where each of its arguments comes from.

The key of a result hashes these arguments and the function's code, and nothing else can reach the function: what is in no
key (device, threads, a progress bar, a folder for unfinished parts) is declared as such.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from operator import attrgetter
from typing import TYPE_CHECKING, Any, NamedTuple

from pydantic import BaseModel

from emonb import artifacts
from emonb.data import sources, weights
from emonb.data.comments import SPLITS
from emonb.errors import StudyError
from emonb.study import Study
from emonb.units import MASKS_A_PART, name_blocks, name_groups

if TYPE_CHECKING:
    from emonb.run.runs import Run

Names = Callable[[Study], Mapping[Any, str]]
"""Names of files that a study reads, by any label."""


class Given(NamedTuple):
    """Where an argument of a stage comes from: how it is got, and what of it is in the result's key (JSON).

    Without a key it says how the work is done: the result is the same up to rounding, however it is done.
    """

    get: Callable[["Run"], Any]
    key: Callable[["Run"], Any] | None
    need: str = ""
    """Stage whose whole result it is."""
    files: Names | None = None
    network: bool = False


def field(name: str) -> Given:
    """A field (or property) of the study, by its dotted name."""
    get = attrgetter(name)

    def key(run: "Run") -> Any:
        value = get(run.study)
        return value.model_dump(mode="json") if isinstance(value, BaseModel) else value

    return Given(lambda run: get(run.study), key)


def fields(*names: str, **renamed: str) -> dict[str, Given]:
    """Fields by argument, which most are called as."""
    return {name: field(name) for name in names} | {argument: field(name) for argument, name in renamed.items()}


def need(*names: str, **renamed: str) -> dict[str, Given]:
    """Results of other stages by argument, made first where they are missing."""

    def given(name: str) -> Given:
        return Given(lambda run: run.load(name), lambda run: run.key(name), need=name)

    return {name: given(name) for name in names} | {argument: given(name) for argument, name in renamed.items()}


def part(name: str, variable: str, **labels: Any) -> Given:
    """A variable of another stage's result, at some of its labels."""
    return Given(lambda run: run.load(name)[variable].sel(labels), lambda run: [run.key(name), variable, labels])


def files(names: Names) -> Given:
    """Paths of files that the study names, fetched, planted or the re-runner's own; keyed by their content."""

    def get(run: "Run") -> dict[Any, Any]:
        named = names(run.study)
        paths = run.fetch(list(named.values()))
        return {label: paths[name] for label, name in named.items()}

    return Given(get, lambda run: {str(label): run.fingerprint(n) for label, n in names(run.study).items()}, files=names)


def file(name: str) -> Given:
    """Path of one file that the study's release names."""

    def names(study: Study) -> dict[str, str]:
        return {"": str(getattr(study.released, name))}

    one = files(names)
    return Given(lambda run: one.get(run)[""], lambda run: run.fingerprint(names(run.study)[""]), files=names)


def _key_network(run: "Run") -> dict[str, Any]:
    """The backbone's settings, and a hash of the checkpoint's content in place of where it lies."""
    assert run.study.backbone is not None  # the study's validation requires it for computed stages
    settings = run.study.backbone.model_dump(mode="json", exclude={"name", "revision"})
    return {**settings, "content": run.fingerprint_backbone()}


@dataclass(frozen=True)
class Stage:
    """One stage: the function that makes its result (``folder.module.function``), and the function's arguments.

    ``units`` names the parts it can be made in, without loading anything; they reach the function as ``work``. Of a
    ``live`` stage the arguments that say which network is run, and how, reach the function together
    (:class:`emonb.model.backbone.Live`).
    """

    make: str
    given: Mapping[str, Given]
    stored: bool = True
    units: Callable[[Study], list[str]] | None = None
    live: bool = False

    @property
    def module(self) -> str:
        """Full name of the module in which the function lives, whose code is in the key."""
        return f"emonb.{self.make.rpartition('.')[0]}"

    def function(self) -> Callable[..., Any]:
        """Import the function."""
        found: Callable[..., Any] = getattr(import_module(self.module), self.make.rpartition(".")[2])
        return found

    def gather(self, given: dict[str, Any]) -> dict[str, Any]:
        """What was got for the stage as the function takes it."""
        if not self.live:
            return given
        from emonb.model.backbone import Live

        live = Live(**{name: given[name] for name in Live._fields})
        return {"live": live, **{name: value for name, value in given.items() if name not in Live._fields}}

    def key(self, run: "Run") -> str:
        """Hash of all that makes the result: arguments and code."""
        keyed = {name: given.key(run) for name, given in self.given.items() if given.key is not None}
        return artifacts.make_key(make=self.make, code=artifacts.code_digest(self.module), given=keyed)


def _corpus(study: Study) -> dict[str, str]:
    return {split: getattr(study.corpus, split) for split in SPLITS}


def _prompt_files(kind: str) -> Names:
    def names(study: Study) -> Mapping[Any, str]:
        from emonb.data.released import name_files

        assert study.released is not None
        return name_files(getattr(study.released, kind), study.emotions, study.seeds)

    return names


def _committed(stage: str) -> Names:
    def names(study: Study) -> Mapping[Any, str]:
        from emonb.data.committed import name_files

        return name_files(stage, f"committed:{study.committed}", study.seeds, study.lesions.ablation)

    return names


def _committed_if_made(stage: str) -> Names:
    """The file of a result that is committed as it comes: there may be none yet."""

    def names(study: Study) -> Mapping[Any, str]:
        found = _committed(stage)(study)
        return found if all(map(sources.fingerprint, found.values())) else {}

    return names


def _groups(study: Study) -> list[str]:
    plan = study.lesions
    return list(name_groups(len(study.sizes) * len(study.attributes) * (1 + len(plan.comparisons) * plan.draws)))


BACKBONE = Given(lambda run: run.backbone(), _key_network, network=True)
"""Settings whose ``name`` can be loaded: the folder in place of the name of a network that is planted or fetched."""
PROGRESS = {"progress": Given(attrgetter("progress"), None)}
OPENED = {"backbone": BACKBONE} | {n: Given(attrgetter(f"study.{n}"), None) for n in ("device", "threads")}
NETWORK = fields("layers", "neurons")
READING = {**NETWORK, **OPENED, **need("comments"), **fields("tuning")}
BOTH = need("activations", "humans")
RANKS = {"ranks": part("neuron_rdms", "rank", seeds="all"), **need("humans")}
SILENCING = {**need("prompts", "masks"), **READING, **fields("lesions", seeds="lesioned_seeds"), **PROGRESS}
PLAN = fields("sizes", comparisons="lesions.comparisons", draws="lesions.draws")
MOVED = fields("size", bijections="inference.bijections", within_layers="keeps_layers")
ROTATED = fields(rotations="inference.rotations", seed="inference.seed")
COMPARED = fields(comparison="lesions.comparison")

STAGES: dict[str, Stage] = {
    "humans": Stage(
        "data.people.read_humans",
        {**fields("emotions", "attributes", scale="humans.scale"), "files": files(lambda study: study.humans.files())},
    ),
    "people": Stage(
        "data.people.read_ratings",
        {
            **need("humans"),
            **fields(scale="humans.scale", seed="inference.seed"),
            "files": files(lambda study: study.humans.rating_files()),
        },
    ),
    "comments": Stage(
        "data.comments.read_goemotions",
        {**fields("emotions", labels="corpus.labels"), "files": files(_corpus)},
        stored=False,  # other people's texts stay where they were fetched to
    ),
    "prompts": Stage("data.released.read_accuracy", {**fields("emotions", "seeds"), "file": file("accuracy")}),
    "activations": Stage(
        "data.released.read_activations",
        {**fields("emotions", "seeds"), **NETWORK, "files": files(_prompt_files("activations")), **PROGRESS},
    ),
    "rdms": Stage("analysis.rdm.compute_rdms", BOTH),
    "neuron_rdms": Stage("analysis.rdm.rank_halves", BOTH),
    "searchlight": Stage("analysis.neurons.search_neurons", RANKS),
    "searchlight_null": Stage(
        "analysis.neurons.find_neurons",
        {**RANKS, **fields(permutations="inference.searchlight_permutations", seed="inference.seed"), **PROGRESS},
    ),
    "rotations": Stage("analysis.own.describe_rotations", {**need("humans"), **ROTATED}),
    "own_neurons": Stage("analysis.own.find_own_neurons", {**RANKS, **need(rotated="rotations"), **ROTATED, **PROGRESS}),
    "word_rdms": Stage("analysis.words.word_rdms", {**need("comments", "humans"), **fields(seed="inference.seed")}),
    "word_halves": Stage("analysis.words.halve_words", {**need("comments", "humans"), **fields(seed="inference.seed")}),
    "published_ranks": Stage("data.released.read_ranks", {**fields("attributes"), **NETWORK, "file": file("ranks")}),
    "lesions": Stage(
        "data.released.read_lesions",
        {
            **fields("attributes", "emotions", "seeds", "sizes", "released"),
            "selective": files(_prompt_files("lesions_selective")),
            "random": files(_prompt_files("lesions_random")),
        },
    ),
    "specifications": Stage(
        "analysis.choices.specify_claims",
        {
            **BOTH,
            **need("rdms", "lesions", light="searchlight", words="word_rdms", halves="word_halves", own="own_neurons"),
            "ranks": part("neuron_rdms", "rank"),
            **fields("choosing_seeds", "sizes", seed="inference.seed"),
        },
    ),
}
"""Stages of a study; prompts, activations and lesions as read from released files."""

LIVE: dict[str, Stage] = {
    "prompts": Stage(
        "model.tuning.tune_prompts",
        {**READING, **fields("emotions", "seeds", "prompt_length"), **PROGRESS},
        units=lambda study: [f"seed-{seed}" for seed in study.seeds],
        live=True,
    ),
    "activations": Stage("model.reading.read_activations", {**need("prompts"), **NETWORK, **OPENED}),
    "activations_in_use": Stage(
        "model.reading.read_over_comments",
        {**READING, **need("prompts"), **fields(examples="lesions.examples")},
        live=True,
    ),
    "centroids": Stage("model.reading.embed_emotions", {**need("comments"), **fields("emotions", "tuning"), **OPENED}),
    "masks": Stage("analysis.masks.plan_masks", {**BOTH, **PLAN, **fields(seeds="choosing_seeds", seed="lesions.seed")}),
    "lesions": Stage(
        "model.silencing.lesion_prompts", {**SILENCING, **fields("attributes", "sizes")}, units=_groups, live=True
    ),
    "wordless": Stage(
        "model.silencing.lesion_wordless",
        {**SILENCING, **fields("attributes", "size", words="emotion_words")},
        units=lambda study: list(name_groups(len(study.attributes) * (1 + study.lesions.draws))),
        live=True,
    ),
    "bijections": Stage(
        "model.silencing.lesion_moved",
        {**SILENCING, **MOVED},
        units=lambda study: list(name_blocks(study.inference.bijections * len(study.attributes), len(study.attributes))),
        live=True,
    ),
    "dose": Stage(
        "model.silencing.dose_prompts",
        {**SILENCING, **fields("size")},
        units=lambda study: list(name_blocks(2 * len(study.attributes), MASKS_A_PART)),
        live=True,
    ),
}
"""The same stages computed here, and the masks that are lesioned."""


def _read_committed(stage: str, given: Mapping[str, Given], if_made: bool = False) -> Stage:
    """The stage as it was computed once: its files, and the settings by which it would be computed live."""
    found = files((_committed_if_made if if_made else _committed)(stage))
    recipe = Given(lambda run: run.recipe(stage), lambda run: run.recipe(stage))
    return Stage(f"data.committed.read_{stage}", {**given, "files": found, "recipe": recipe})


COMMITTED: dict[str, Stage] = {
    "prompts": _read_committed("prompts", fields("emotions", "seeds")),
    "masks": _read_committed("masks", {**PLAN, **fields("attributes")}),
    "lesions": _read_committed("lesions", {**need("masks"), **fields("attributes", "sizes")}),
    "activations_in_use": _read_committed("activations_in_use", fields("emotions", "seeds")),
    "centroids": _read_committed("centroids", fields("emotions")),
    "wordless": _read_committed("wordless", {**need("masks"), **fields("attributes", "size"), **COMPARED}, if_made=True),
    "bijections": _read_committed("bijections", {**need("masks"), **fields("attributes"), **MOVED}, if_made=True),
    "dose": _read_committed("dose", {**fields("attributes"), **COMPARED}),
}
"""The same stages as they were computed once and committed under ``data``."""


def stage_of(name: str, study: Study) -> Stage:
    """The stage that makes a study's result of this name.

    Raises
    ------
    StudyError
        No such result, or none in this study.
    """
    if name not in STAGES and name not in LIVE:
        raise StudyError(f"unknown artifact '{name}'; known: {', '.join(dict.fromkeys([*STAGES, *LIVE]))}")
    origin = getattr(study.stages, name, "released") or study.stages.lesions
    if name == "centroids":  # of prompts it knows nothing
        if study.backbone is None or study.backbone.head != "words":
            raise StudyError(f"'{study.name}' has no centroids: its backbone is no sentence encoder (backbone.head=words)")
        origin = _origin_beside_prompts(name, study)
    if name == "activations_in_use":
        if study.stages.prompts == "released":
            raise StudyError(f"'{study.name}' has no {name}: its prompts were not released")
        origin = _origin_beside_prompts(name, study)
    if name == "wordless" and not study.emotion_words:
        raise StudyError(f"'{study.name}' has no {name}: it does not say which words are its emotions' (emotion_words)")
    if name in ("dose", "bijections", "wordless"):
        origin = study.stages.lesions
    for table, label in ((LIVE, "computed"), (COMMITTED, "committed")):
        if name in table and origin == label:
            return table[name]
    if name not in STAGES:
        raise StudyError(
            f"'{study.name}' has no {name}: its lesions are released results, and their masks were not released"
        )
    if name == "published_ranks" and study.released is None:
        raise StudyError(f"'{study.name}' has no published ranks to compare with: nothing of it is released")
    return STAGES[name]


def _origin_beside_prompts(name: str, study: Study) -> str:
    """Committed where the prompts are and such a result lies beside them, as it does not for networks to compare with."""
    beside = study.stages.prompts == "committed" and all(map(sources.fingerprint, _committed(name)(study).values()))
    return "committed" if beside else "computed"


def stages_of(study: Study) -> dict[str, Stage]:
    """Every stage a study has, by name."""
    found = {}
    for name in dict.fromkeys([*STAGES, *LIVE]):
        try:
            found[name] = stage_of(name, study)
        except StudyError:
            continue
    return found


def study_files(study: Study) -> list[str]:
    """Names of the files a study's stages read, without duplicates and without what is planted here."""
    return [name for name in _named(study) if not name.startswith("planted:")]


def planted_files(study: Study) -> list[str]:
    """Names of what is planted here for a study: files, and the backbone."""
    backbone = [study.backbone.name] if study.backbone is not None else []
    return [name for name in [*_named(study), *backbone] if name.startswith("planted:")]


def stage_files(stage: Stage, study: Study) -> list[str]:
    """Names of the files that one stage reads, a network's own left out."""
    named = [given.files(study) for given in stage.given.values() if given.files is not None]
    return [name for names in named for name in names.values()]


def _named(study: Study) -> list[str]:
    stages = stages_of(study).values()
    names = dict.fromkeys(name for stage in stages for name in stage_files(stage, study))
    if study.backbone is not None and any(given.network for stage in stages for given in stage.given.values()):
        names |= dict.fromkeys(weights.registry_files(study.backbone))
    return list(names)
