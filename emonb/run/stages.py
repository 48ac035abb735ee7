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
"""Names of files by any label: fetched, planted or the re-runner's own."""


class Given(NamedTuple):
    """Where an argument of a stage comes from."""

    get: Callable[["Run"], Any]
    """The argument; results of other stages are made first if they are missing."""
    key: Callable[["Run"], Any] | None
    """What of it is in the key of the stage's result, as JSON has it; None: nothing."""
    stage: str | None = None
    """The stage whose whole result it is."""
    names: Names | None = None
    """The files that are read for it."""
    weights: bool = False
    """Whether it is the network's."""


def field(name: str) -> Given:
    """A field (or property) of the study, by its dotted name."""

    def key(run: "Run") -> Any:
        value = attrgetter(name)(run.study)
        return value.model_dump(mode="json") if isinstance(value, BaseModel) else value

    return Given(lambda run: attrgetter(name)(run.study), key)


def need(stage: str) -> Given:
    """The result of another stage, and its own key."""
    return Given(lambda run: run.load(stage), lambda run: run.key(stage), stage=stage)


def part(stage: str, variable: str, labels: Mapping[str, Any]) -> Given:
    """A variable of another stage's result, at some of its labels."""
    return Given(lambda run: run.load(stage)[variable].sel(labels), lambda run: [run.key(stage), variable, dict(labels)])


def files(names: Names) -> Given:
    """Local path of each of the files, by label; hashes of their content."""

    def get(run: "Run") -> dict[Any, Any]:
        named = names(run.study)
        paths = run.fetch(list(named.values()))
        return {label: paths[name] for label, name in named.items()}

    def key(run: "Run") -> dict[str, str]:
        return {str(label): run.fingerprint(name) for label, name in names(run.study).items()}

    return Given(get, key, names=names)


def file(name: Callable[[Study], str]) -> Given:
    """Local path of one file; the hash of its content."""
    return Given(
        lambda run: run.fetch([name(run.study)])[name(run.study)],
        lambda run: run.fingerprint(name(run.study)),
        names=lambda study: {"": name(study)},
    )


def _describe_weights(run: "Run") -> dict[str, Any]:
    """The backbone's settings, and a hash of the checkpoint's content in place of where it lies."""
    assert run.study.backbone is not None  # the study's validation requires it for computed stages
    settings = run.study.backbone.model_dump(mode="json", exclude={"name", "revision"})
    return {**settings, "content": run.fingerprint_backbone()}


def recipe(stage: str) -> Given:
    """The settings by which a stage is computed live, those of what it needs included: what made a committed result."""
    return Given(lambda run: run.recipe(stage), lambda run: run.recipe(stage))


def unkeyed(get: Callable[["Run"], Any]) -> Given:
    """How the work is done: the same result up to rounding, however it is done."""
    return Given(get, None)


@dataclass(frozen=True)
class Stage:
    """One stage: the function that makes its result (``folder.module.function``), and the function's arguments.

    ``units`` names the parts it can be made in, without loading anything; the function is given as ``work`` where these are
    made and kept (:mod:`emonb.run.parts`). Of a ``live`` stage the arguments that say which network is run, and how, reach
    the function together (:class:`emonb.model.backbone.Live`).
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


def _released(field: str) -> Callable[[Study], str]:
    return lambda study: str(getattr(study.released, field))


def _groups(study: Study) -> list[str]:
    plan = study.lesions
    return list(name_groups(len(study.sizes) * len(study.attributes) * (1 + len(plan.comparisons) * plan.draws)))


EMOTIONS, ATTRIBUTES, SEEDS, SIZES, SIZE = (field(name) for name in ("emotions", "attributes", "seeds", "sizes", "size"))
SEED, COMPARISON, DRAWS = (field(name) for name in ("inference.seed", "lesions.comparison", "lesions.draws"))
KINDS, SCALE, CHOOSING = (field(name) for name in ("lesions.comparisons", "humans.scale", "choosing_seeds"))
ACTIVATIONS, HUMANS, COMMENTS, PROMPTS = (need(name) for name in ("activations", "humans", "comments", "prompts"))
MASKS, PROGRESS, TUNING = need("masks"), unkeyed(attrgetter("progress")), field("tuning")
NETWORK: dict[str, Given] = {"layers": field("layers"), "neurons": field("neurons")}
OPENED: dict[str, Given] = {
    "backbone": Given(lambda run: run.backbone(), _describe_weights, weights=True),
    "device": unkeyed(attrgetter("study.device")),
    "threads": unkeyed(attrgetter("study.threads")),
}
READING: dict[str, Given] = {**NETWORK, **OPENED, "comments": COMMENTS, "tuning": TUNING}
BOTH: dict[str, Given] = {"activations": ACTIVATIONS, "humans": HUMANS}
RANKS: dict[str, Given] = {"ranks": part("neuron_rdms", "rank", {"seeds": "all"}), "humans": HUMANS}
WORDS: dict[str, Given] = {"comments": COMMENTS, "humans": HUMANS, "seed": SEED}
SILENCING: dict[str, Given] = {
    **READING,
    "prompts": PROMPTS,
    "masks": MASKS,
    "seeds": field("lesioned_seeds"),
    "lesions": field("lesions"),
    "progress": PROGRESS,
}
MOVES: dict[str, Given] = {"bijections": field("inference.bijections"), "within_layers": field("keeps_layers")}


def _make(function: str, **given: Given) -> Stage:
    """A stage whose function gets its arguments as they are."""
    return Stage(function, given)


def _run(function: str, units: Callable[[Study], list[str]] | None, **given: Given) -> Stage:
    """A stage that runs the network, in units if there are any."""
    return Stage(function, given, units=units, live=True)


def _read(function: str, stage: str, names: Callable[[str], Names] = _committed, **given: Given) -> Stage:
    """A stage that reads what was computed once and committed: its files, made by the settings that the study has."""
    return Stage(f"data.committed.{function}", {**given, "files": files(names(stage)), "recipe": recipe(stage)})


STAGES: dict[str, Stage] = {
    "humans": _make(
        "data.people.read_humans",
        emotions=EMOTIONS,
        attributes=ATTRIBUTES,
        files=files(lambda study: study.humans.files()),
        scale=SCALE,
    ),
    "people": _make(
        "data.people.read_ratings",
        humans=HUMANS,
        files=files(lambda study: study.humans.rating_files()),
        scale=SCALE,
        seed=SEED,
    ),
    "comments": Stage(
        "data.comments.read_goemotions",
        {"emotions": EMOTIONS, "labels": field("corpus.labels"), "files": files(_corpus)},
        stored=False,  # other people's texts stay where they were fetched to
    ),
    "prompts": _make("data.released.read_accuracy", emotions=EMOTIONS, seeds=SEEDS, file=file(_released("accuracy"))),
    "activations": _make(
        "data.released.read_activations",
        emotions=EMOTIONS,
        seeds=SEEDS,
        **NETWORK,
        files=files(_prompt_files("activations")),
        progress=PROGRESS,
    ),
    "rdms": _make("analysis.rdm.compute_rdms", **BOTH),
    "neuron_rdms": _make("analysis.rdm.rank_halves", **BOTH),
    "searchlight": _make("analysis.neurons.search_neurons", **RANKS),
    "searchlight_null": _make(
        "analysis.neurons.find_neurons",
        **RANKS,
        permutations=field("inference.searchlight_permutations"),
        seed=SEED,
        progress=PROGRESS,
    ),
    "own_neurons": _make(
        "analysis.own.find_own_neurons", **RANKS, rotations=field("inference.rotations"), seed=SEED, progress=PROGRESS
    ),
    "word_rdms": _make("analysis.words.word_rdms", **WORDS),
    "word_halves": _make("analysis.words.halve_words", **WORDS),
    "published_ranks": _make("data.released.read_ranks", attributes=ATTRIBUTES, **NETWORK, file=file(_released("ranks"))),
    "lesions": _make(
        "data.released.read_lesions",
        attributes=ATTRIBUTES,
        emotions=EMOTIONS,
        seeds=SEEDS,
        sizes=SIZES,
        released=field("released"),
        selective=files(_prompt_files("lesions_selective")),
        random=files(_prompt_files("lesions_random")),
    ),
    "specifications": _make(
        "analysis.choices.specify_claims",
        **BOTH,
        rdms=need("rdms"),
        lesions=need("lesions"),
        light=need("searchlight"),
        ranks=part("neuron_rdms", "rank", {}),
        words=need("word_rdms"),
        halves=need("word_halves"),
        own=need("own_neurons"),
        choosing_seeds=CHOOSING,
        sizes=SIZES,
        seed=SEED,
    ),
}
"""Stages of a study; prompts, activations and lesions as read from released files."""

LIVE: dict[str, Stage] = {
    "prompts": _run(
        "model.tuning.tune_prompts",
        units=lambda study: [f"seed-{seed}" for seed in study.seeds],
        **READING,
        emotions=EMOTIONS,
        seeds=SEEDS,
        prompt_length=field("prompt_length"),
        progress=PROGRESS,
    ),
    "activations": _make("model.reading.read_activations", prompts=PROMPTS, **NETWORK, **OPENED),
    "activations_in_use": _run(
        "model.reading.read_over_comments", units=None, **READING, prompts=PROMPTS, examples=field("lesions.examples")
    ),
    "centroids": _make("model.reading.embed_emotions", comments=COMMENTS, emotions=EMOTIONS, tuning=TUNING, **OPENED),
    "masks": _make(
        "analysis.masks.plan_masks",
        **BOTH,
        seeds=CHOOSING,
        sizes=SIZES,
        comparisons=KINDS,
        draws=DRAWS,
        seed=field("lesions.seed"),
    ),
    "lesions": _run(
        "model.silencing.lesion_prompts",
        units=_groups,
        **SILENCING,
        attributes=ATTRIBUTES,
        sizes=SIZES,
    ),
    "wordless": _run(
        "model.silencing.lesion_wordless",
        units=lambda study: list(name_groups(len(study.attributes) * (1 + study.lesions.draws))),
        **SILENCING,
        words=field("emotion_words"),
        attributes=ATTRIBUTES,
        size=SIZE,
    ),
    "bijections": _run(
        "model.silencing.lesion_moved",
        units=lambda study: list(name_blocks(study.inference.bijections * len(study.attributes), len(study.attributes))),
        **SILENCING,
        **MOVES,
        size=SIZE,
    ),
    "dose": _run(
        "model.silencing.dose_prompts",
        units=lambda study: list(name_blocks(2 * len(study.attributes), MASKS_A_PART)),
        **SILENCING,
        size=SIZE,
    ),
}
"""The same stages computed here, and the masks that are lesioned."""

COMMITTED: dict[str, Stage] = {
    "prompts": _read("read_prompts", "prompts", emotions=EMOTIONS, seeds=SEEDS),
    "masks": _read("read_masks", "masks", attributes=ATTRIBUTES, sizes=SIZES, comparisons=KINDS, draws=DRAWS),
    "lesions": _read("read_lesions", "lesions", masks=MASKS, attributes=ATTRIBUTES, sizes=SIZES),
    "activations_in_use": _read("read_activations_in_use", "activations_in_use", emotions=EMOTIONS, seeds=SEEDS),
    "centroids": _read("read_centroids", "centroids", emotions=EMOTIONS),
    "wordless": _read(
        "read_wordless",
        "wordless",
        _committed_if_made,
        masks=MASKS,
        attributes=ATTRIBUTES,
        size=SIZE,
        comparison=COMPARISON,
    ),
    "bijections": _read(
        "read_moved", "bijections", _committed_if_made, masks=MASKS, attributes=ATTRIBUTES, size=SIZE, **MOVES
    ),
    "dose": _read("read_dose", "dose", attributes=ATTRIBUTES, comparison=COMPARISON),
}
"""The same stages as they were computed once and committed under ``data``."""


def stage_of(name: str, study: Study) -> Stage:
    """The stage that makes a study's result of this name; StudyError if there is no such result, or none in this study."""
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
    return [name for given in stage.given.values() if given.names for name in given.names(study).values()]


def _named(study: Study) -> list[str]:
    stages = stages_of(study).values()
    names = dict.fromkeys(name for stage in stages for name in stage_files(stage, study))
    if study.backbone is not None and any(given.weights for stage in stages for given in stage.given.values()):
        names |= dict.fromkeys(weights.registry_files(study.backbone))
    return list(names)
