"""The stages of a study, by name of the result each makes."""

from collections.abc import Callable, Mapping
from typing import Any

from emonb.data import checkpoints, sources
from emonb.errors import StudyError
from emonb.run.given import Field, File, Files, Given, Need, Part, Recipe, Stage, Unkeyed, Weights, Work
from emonb.study import Study
from emonb.units import MASKS_A_PART, name_blocks, name_groups


def _corpus(study: Study) -> dict[str, str]:
    return {split: getattr(study.corpus, split) for split in ("train", "dev", "test")}


def _prompt_files(kind: str) -> Callable[[Study], Mapping[Any, str]]:
    def names(study: Study) -> Mapping[Any, str]:
        from emonb.data.released import name_files

        assert study.released is not None
        return name_files(getattr(study.released, kind), study.emotions, study.seeds)

    return names


def _committed(stage: str) -> Callable[[Study], Mapping[Any, str]]:
    def names(study: Study) -> Mapping[Any, str]:
        from emonb.data.committed import name_files

        return name_files(stage, f"committed:{study.committed}", study.seeds, study.lesions.ablation)

    return names


def _committed_moved(study: Study) -> Mapping[Any, str]:
    """The file of moved masks, which are committed as they come: there may be none yet."""
    names = _committed("bijections")(study)
    return names if sources.fingerprint(names["bijections"]) else {}


def _released(field: str) -> Callable[[Study], str]:
    return lambda study: str(getattr(study.released, field))


def _groups(study: Study) -> list[str]:
    plan = study.lesions
    return list(name_groups(len(study.sizes) * len(study.attributes) * (1 + len(plan.comparisons) * plan.draws)))


EMOTIONS, ATTRIBUTES, SEEDS, SIZES = (Field(name) for name in ("emotions", "attributes", "seeds", "sizes"))
NETWORK: dict[str, Given] = {"layers": Field("layers"), "neurons": Field("neurons")}
OPENED: dict[str, Given] = {"backbone": Weights(), "device": Unkeyed("device"), "threads": Unkeyed("threads")}
LIVE_NETWORK: dict[str, Given] = {**NETWORK, **OPENED}
ACTIVATIONS, HUMANS, COMMENTS, PROMPTS = (Need(name) for name in ("activations", "humans", "comments", "prompts"))
TUNING = Field("tuning")
BOTH: dict[str, Given] = {"activations": ACTIVATIONS, "humans": HUMANS}
RANKS: dict[str, Given] = {"ranks": Part("neuron_rdms", "rank", {"seeds": "all"}), "humans": HUMANS}
PROGRESS = Unkeyed("progress")

STAGES: dict[str, Stage] = {
    "humans": Stage(
        "data.humans.read_humans",
        {"emotions": EMOTIONS, "attributes": ATTRIBUTES, "files": Files(lambda study: study.humans.files())},
    ),
    "people": Stage(
        "data.ratings.read_ratings",
        {
            "humans": HUMANS,
            "files": Files(lambda study: study.humans.rating_files()),
            "seed": Field("inference.seed"),
        },
    ),
    "comments": Stage(
        "data.goemotions.read_goemotions",
        {"emotions": EMOTIONS, "labels": Field("corpus.labels"), "files": Files(_corpus)},
        stored=False,  # other people's texts stay where they were fetched to
    ),
    "prompts": Stage(
        "data.released.read_accuracy", {"emotions": EMOTIONS, "seeds": SEEDS, "file": File(_released("accuracy"))}
    ),
    "activations": Stage(
        "data.released.read_activations",
        {
            "emotions": EMOTIONS,
            "seeds": SEEDS,
            **NETWORK,
            "files": Files(_prompt_files("activations")),
            "progress": PROGRESS,
        },
    ),
    "rdms": Stage("analysis.rdm.compute_rdms", BOTH),
    "neuron_rdms": Stage("analysis.rdm.rank_halves", BOTH),
    "searchlight": Stage("analysis.attributes.search_neurons", RANKS),
    "searchlight_null": Stage(
        "analysis.neurons.find_neurons",
        {
            **RANKS,
            "permutations": Field("inference.searchlight_permutations"),
            "seed": Field("inference.seed"),
            "progress": PROGRESS,
        },
    ),
    "own_neurons": Stage(
        "analysis.own.find_own_neurons",
        {
            **RANKS,
            "rotations": Field("inference.rotations"),
            "moments": Field("inference.searchlight_moments"),
            "seed": Field("inference.seed"),
            "progress": PROGRESS,
        },
    ),
    "word_rdms": Stage(
        "analysis.vocabulary.word_rdms", {"comments": COMMENTS, "humans": HUMANS, "seed": Field("inference.seed")}
    ),
    "word_halves": Stage(
        "analysis.vocabulary.halve_words", {"comments": COMMENTS, "humans": HUMANS, "seed": Field("inference.seed")}
    ),
    "published_ranks": Stage(
        "data.released.read_ranks", {"attributes": ATTRIBUTES, **NETWORK, "file": File(_released("ranks"))}
    ),
    "lesions": Stage(
        "data.released.read_lesions",
        {
            "attributes": ATTRIBUTES,
            "emotions": EMOTIONS,
            "seeds": SEEDS,
            "sizes": SIZES,
            "released": Field("released"),
            "selective": Files(_prompt_files("lesions_selective")),
            "random": Files(_prompt_files("lesions_random")),
        },
    ),
    "specifications": Stage(
        "analysis.specifications.specify_claims",
        {
            **BOTH,
            **{name: Need(name) for name in ("rdms", "lesions")},
            "light": Need("searchlight"),
            "ranks": Part("neuron_rdms", "rank", {}),
            **{"words": Need("word_rdms"), "own": Need("own_neurons")},
            "choosing_seeds": Field("choosing_seeds"),
            "sizes": SIZES,
            "seed": Field("inference.seed"),
        },
    ),
}
"""Stages of a study; prompts, activations and lesions as read from released files."""

LIVE: dict[str, Stage] = {
    "prompts": Stage(
        "model.tuning.tune_prompts",
        {
            "comments": COMMENTS,
            "emotions": EMOTIONS,
            "seeds": SEEDS,
            "prompt_length": Field("prompt_length"),
            "tuning": TUNING,
            **LIVE_NETWORK,
            "work": Work("prompts"),
            "progress": PROGRESS,
        },
        units=lambda study: [f"seed-{seed}" for seed in study.seeds],
    ),
    "activations": Stage("model.reading.read_activations", {"prompts": PROMPTS, **LIVE_NETWORK}),
    "activations_in_use": Stage(
        "model.reading.read_over_comments",
        {"prompts": PROMPTS, "comments": COMMENTS, "examples": Field("lesions.examples"), "tuning": TUNING, **LIVE_NETWORK},
    ),
    "centroids": Stage(
        "model.centroids.embed_emotions",
        {"comments": COMMENTS, "emotions": EMOTIONS, "tuning": TUNING, **OPENED},
    ),
    "masks": Stage(
        "analysis.masks.plan_masks",
        {
            **BOTH,
            "seeds": Field("choosing_seeds"),
            "sizes": SIZES,
            "comparisons": Field("lesions.comparisons"),
            "draws": Field("lesions.draws"),
            "seed": Field("lesions.seed"),
        },
    ),
    "lesions": Stage(
        "model.silencing.lesion_prompts",
        {
            "prompts": PROMPTS,
            "masks": Need("masks"),
            "comments": COMMENTS,
            "seeds": Field("lesioned_seeds"),
            "attributes": ATTRIBUTES,
            "sizes": SIZES,
            "lesions": Field("lesions"),
            "tuning": TUNING,
            **LIVE_NETWORK,
            "work": Work("lesions"),
            "progress": PROGRESS,
        },
        units=_groups,
    ),
    "bijections": Stage(
        "model.moved.lesion_moved",
        {
            "prompts": PROMPTS,
            "masks": Need("masks"),
            "comments": COMMENTS,
            "seeds": Field("lesioned_seeds"),
            "size": Field("size"),
            "bijections": Field("inference.bijections"),
            "within_layers": Field("keeps_layers"),
            "lesions": Field("lesions"),
            "tuning": TUNING,
            **LIVE_NETWORK,
            "work": Work("bijections"),
            "progress": PROGRESS,
        },
        units=lambda study: list(name_blocks(study.inference.bijections * len(study.attributes), len(study.attributes))),
    ),
    "dose": Stage(
        "model.dose.dose_prompts",
        {
            "prompts": PROMPTS,
            "masks": Need("masks"),
            "comments": COMMENTS,
            "seeds": Field("lesioned_seeds"),
            "size": Field("size"),
            "lesions": Field("lesions"),
            "tuning": TUNING,
            **LIVE_NETWORK,
            "work": Work("dose"),
            "progress": PROGRESS,
        },
        units=lambda study: list(name_blocks(2 * len(study.attributes), MASKS_A_PART)),
    ),
}
"""The same stages computed here, and the masks that are lesioned."""

COMMITTED: dict[str, Stage] = {
    "prompts": Stage(
        "data.committed.read_prompts",
        {"emotions": EMOTIONS, "seeds": SEEDS, "files": Files(_committed("prompts")), "recipe": Recipe("prompts")},
    ),
    "masks": Stage(
        "data.committed.read_masks",
        {
            "attributes": ATTRIBUTES,
            "sizes": SIZES,
            "comparisons": Field("lesions.comparisons"),
            "draws": Field("lesions.draws"),
            "files": Files(_committed("masks")),
            "recipe": Recipe("masks"),
        },
    ),
    "lesions": Stage(
        "data.committed.read_lesions",
        {
            "masks": Need("masks"),
            "attributes": ATTRIBUTES,
            "sizes": SIZES,
            "files": Files(_committed("lesions")),
            "recipe": Recipe("lesions"),
        },
    ),
    "activations_in_use": Stage(
        "data.committed.read_activations_in_use",
        {
            "emotions": EMOTIONS,
            "seeds": SEEDS,
            "files": Files(_committed("activations_in_use")),
            "recipe": Recipe("activations_in_use"),
        },
    ),
    "centroids": Stage(
        "data.committed.read_centroids",
        {"emotions": EMOTIONS, "files": Files(_committed("centroids")), "recipe": Recipe("centroids")},
    ),
    "bijections": Stage(
        "data.committed.read_moved",
        {
            "masks": Need("masks"),
            "attributes": ATTRIBUTES,
            "size": Field("size"),
            "bijections": Field("inference.bijections"),
            "within_layers": Field("keeps_layers"),
            "files": Files(_committed_moved),
            "recipe": Recipe("bijections"),
        },
    ),
    "dose": Stage(
        "data.committed.read_dose",
        {
            "attributes": ATTRIBUTES,
            "comparison": Field("lesions.comparison"),
            "files": Files(_committed("dose")),
            "recipe": Recipe("dose"),
        },
    ),
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
    if name in ("dose", "bijections"):
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


def _named(study: Study) -> list[str]:
    names: dict[str, None] = {}
    for stage in stages_of(study).values():
        for given in stage.given.values():
            if isinstance(given, Files):
                names |= dict.fromkeys(given.names(study).values())
            elif isinstance(given, File):
                names[given.name(study)] = None
            elif isinstance(given, Weights) and study.backbone is not None:
                names |= dict.fromkeys(checkpoints.registry_files(study.backbone))
    return list(names)
