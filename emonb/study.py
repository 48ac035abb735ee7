"""A study: the named, validated configuration that every stage, chapter and edition is made from.

``data/studies/NAME.yml`` holds one study. Everything a re-runner may change is a field of :class:`Study`; a field
that does not exist, or a value of the wrong type, is an error before any work is done.
"""

import difflib
import hashlib
import json
import os
import re
import shutil
from itertools import takewhile
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

import yaml
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PositiveInt,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)  # fmt: skip

from emonb.errors import StudyError
from emonb.paths import data_dir

EMPTY_CELLS = ("", "na", "n/a", "nan", "none", "null")
"""What a table of numbers has in the place of nothing, in small letters."""


def _check_label(label: str) -> str:
    if label != label.strip() or "|" in label or not label.isprintable() or label.lower() in EMPTY_CELLS:
        raise ValueError("a label has no space at its ends, no line end and no '|', and is no word for an empty cell")
    return label


Labels = Annotated[tuple[Annotated[str, AfterValidator(_check_label)], ...], Field(min_length=2)]
Origin = Literal["released", "computed", "committed"]
Seed = Annotated[int, Field(ge=0, lt=2**32)]
Comparison = Literal["random", "random_layer", "random_matched", "random_norm"]


def _rise(ends: tuple[float, float]) -> tuple[float, float]:
    if not ends[0] < ends[1]:
        raise ValueError("a scale is [lowest, highest] answer")
    return ends


Range = Annotated[tuple[float, float], AfterValidator(_rise)]
Scale = Range | dict[Literal["judgments", "ratings", "scores"], Range] | None
"""Lowest and highest answer, the same for judges and raters or one for each kind of file; else judgments and ratings lie in
1 to 9, finished scores in 0 to 1."""


class Strict(BaseModel):
    """No unknown fields, no changes after validation, no number that is none or without end."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    @field_validator("*", mode="before")
    @classmethod
    def _no_switch(cls, value: Any, info: ValidationInfo) -> Any:
        """Refuse true and false where numbers are asked: Python takes them for 1 and 0."""
        given = value if isinstance(value, list | tuple) else [value]
        asked = str(cls.model_fields[str(info.field_name)].annotation)
        if any(isinstance(one, bool) for one in given) and re.search(r"\b(int|float)\b", asked):
            raise ValueError("true and false are no numbers")
        return value


class Stages(Strict):
    """Where each stage's result comes from: computed here, files the authors released, or our own that are committed."""

    prompts: Origin
    activations: Literal["released", "computed"]
    masks: Literal["computed", "committed"] | None = Field(None, description="as the lesions, where it is not given")
    lesions: Origin


class Released(Strict):
    """How the authors' released files name things (paths are URL paths after the host; see ``data/registry.txt``)."""

    accuracy: str
    activations: str = Field(description="path template with {emotion} and {seed}")
    lesions_selective: str = Field(description="path template with {emotion} and {seed}")
    lesions_random: str = Field(description="path template with {emotion} and {seed}")
    ranks: str
    lesion_keys: dict[str, str] = Field(description="attribute name in the lesion JSON -> attribute of the study")
    random_only_sizes: tuple[int, ...] = ()


class RawFiles(Strict):
    """The raw files that Li et al.'s finished scores and judgments were made from."""

    emotions: str = Field(description="names of the emotions in the order of the questionnaires")
    affective: str
    physical: str
    appraisal: str
    judgments: str = Field(description="spreadsheet: a row a pair, a column a judge, missing judgments left empty")
    wording: str = Field(description="what raters were asked, and short names of the appraisal items")


class Humans(Strict):
    """Human data: order of the emotions, judgments of pairs, finished attribute scores and RDMs or raw ratings, readers."""

    order: str | None = Field(None, description="if not given, the emotions as the study lists them")
    judgments: str
    mean_judgments: str | None = Field(None, description="checked against the judgments where given")
    scores: str | None = None
    attribute_rdms: str | None = Field(None, description="checked against the scores, or made from them")
    agreement: str | None = None
    scale: Scale = Field(None, description="of the answers, [lowest, highest]; what lies off it is refused")
    ratings: str | None = Field(
        None, description="in place of finished scores: a long table with columns rater, emotion, attribute, value"
    )
    raw: RawFiles | None = Field(None, description="what the finished scores were made from, where it was released")

    @model_validator(mode="after")
    def _scores_once(self) -> "Humans":
        if self.ratings is not None and (self.scores or self.attribute_rdms or self.raw):
            raise ValueError(
                "give finished scores and attribute_rdms, or raw ratings, not both (null takes away what the study that "
                "this one extends has)"
            )
        if self.ratings is None and self.scores is None:
            raise ValueError("give scores, or ratings")
        return self

    @property
    def rated(self) -> bool:
        """Whether it is known who gave which rating."""
        return self.ratings is not None or self.raw is not None

    def files(self) -> dict[str, str]:
        """Names of the files that all analyses read, by field."""
        return self.model_dump(exclude={"raw", "scale"}, exclude_none=True)

    def rating_files(self) -> dict[str, str]:
        """Names of the files with single ratings and judgments, by field; none where only finished scores are known."""
        return self.raw.model_dump() if self.raw else self.model_dump(include={"ratings"}, exclude_none=True)


class Corpus(Strict):
    """Comments the prompts were tuned on, by split, and what their label ids mean."""

    train: str
    dev: str
    test: str
    labels: tuple[str, ...] | None = Field(
        None,
        min_length=1,
        description="names of label ids 0, 1, ...; null: the study's emotions in their order, then neutral",
    )

    @model_validator(mode="after")
    def _three_files(self) -> "Corpus":
        if len({self.train, self.dev, self.test}) < 3:
            raise ValueError("train, dev and test are three files; a comment that prompts are tuned on is no test")
        own = any(name.startswith("local:") for name in (self.train, self.dev, self.test))
        if own and "labels" not in self.model_fields_set:  # what ids mean is said, never guessed
            raise ValueError(LABELS)
        return self


class SplitSizes(Strict):
    """Comments of every emotion in each split of a planted corpus."""

    train: int = Field(600, ge=2)
    dev: int = Field(40, ge=2)
    test: int = Field(60, ge=2)


class WorldPlan(Strict):
    """A planted world, where the answer is known: files and backbone named ``planted:`` are made here."""

    seed: Seed = Field(0, description="of everything in the world")
    training_seed: Seed = Field(0, description="of the backbone's training only: another network in the same world")
    wiring: Literal["causal", "encoded"] = Field(
        "causal", description="an attribute's neurons decide the verdict, or only describe the prompt"
    )
    labels: Literal["own", "pooled"] = Field("own", description="pooled: labels permuted over all comments")
    voiced: int = Field(8, ge=1, description="attributes that texts voice and judges use; the others are silent")
    judged: int | None = Field(None, ge=1, description="attributes judges use, where they use more than texts voice")
    correlation: float = Field(
        0.0, ge=0, lt=1, description="largest share of an attribute's variance that others have in common (0: none planned)"
    )
    names: int = Field(
        0,
        ge=0,
        description="cues that are an emotion's name, which the network has met; a comment's other cues say nothing",
    )
    depth: int = Field(1, ge=1, le=2, description="layers; with two, neurons of the first serve every attribute")
    comments: SplitSizes = SplitSizes()
    raters: int = Field(12, ge=2)
    judges: int = Field(60, ge=2)
    steps: int = Field(3_000, ge=1, description="of training the backbone")
    batch: int = Field(96, ge=2)
    learning_rate: float = Field(4e-3, gt=0)


class BackboneConfig(Strict):
    """The frozen masked language model."""

    name: str = Field(min_length=1, description="hub name or local folder, with safetensors weights and a tokenizer")
    revision: str = Field("", description="commit, branch or tag of the hub repository")
    seed: Seed = Field(0, description="of the random weights, where they are `untrained`")
    verbalizer: tuple[str, str] = Field(("negative", "positive"), description='the words for "no" and "yes"')
    position_offset: Literal["paper", "roberta"] = Field("paper", description="positions from 0, or the model's own")
    dtype: Literal["float32", "bfloat16", "float64"] = Field(
        "float32",
        description="float64: slow, the same bits on every processor, prompts on a fixed grid",
    )
    untrained: bool = Field(False, description="random weights in the shape of `name`, drawn with `seed`")
    random: Literal["all", "layers"] = Field(
        "all",
        description="what is random if untrained: layers keeps the embeddings alone "
        "(MPNet's table of attention by distance is drawn anew with the layers)",
    )
    random_std: float | None = Field(None, gt=0, description="standard deviation of random weights; none: the model's own")
    head: Literal["masked-lm", "words"] = Field(
        "masked-lm",
        description="the model's own, or its own sentence embeddings of the verbalizer (for encoders with none)",
    )
    temperature: float = Field(1.0, gt=0, description="factor of the words head's logits")

    @model_validator(mode="after")
    def _two_words(self) -> "BackboneConfig":
        if self.verbalizer[0] == self.verbalizer[1]:
            raise ValueError('verbalizer must be two different words, for "no" and for "yes"')
        return self


class Tuning(Strict):
    """How prompts are tuned (Li et al.: AdamW, learning rate 2e-3, 2 epochs, batch 16)."""

    learning_rate: float = Field(2e-3, gt=0)
    weight_decay: float = Field(0.01, ge=0)
    epochs: int = Field(2, ge=1)
    batch: int = Field(16, ge=1)
    schedule: Literal["constant", "linear"] = Field("linear", description="linear: to 0 over all steps of a prompt")
    max_length: int = Field(256, ge=3, description="tokens of a comment, start and end included")
    start: Literal["mask", "words"] = Field(
        "mask", description="a prompt starts from the mask's embedding, or from common words drawn with its seed"
    )
    negatives: Literal["paper", "true"] = Field("paper", description="from all comments, or from those without the emotion")
    examples: int | None = Field(None, ge=2, description="at most so many training examples a prompt (for small runs)")
    tokens_per_batch: int = Field(
        16_384, ge=64, description="positions that go through the model at once; bounds the memory"
    )
    checkpoint_every: int = Field(50, ge=1, description="steps between checkpoints")


class LesionPlan(Strict):
    """What is silenced, which random masks it is compared with, and on what it is tested."""

    comparisons: tuple[Comparison, ...] = ("random", "random_layer", "random_matched")
    draws: int = Field(20, ge=1, description="comparison masks of each kind for every attribute and size")
    comparison: Comparison = Field("random", description="kind the claims compare with")
    measure: Literal["accuracy", "auc"] = Field("accuracy", description="what the claims are about")
    selection_seeds: tuple[Seed, ...] | Literal["half"] = Field(
        (),
        description="seeds whose prompts choose the neurons, or the first half of the study's; the others' prompts are "
        "lesioned (none: all do both)",
    )
    ablation: Literal["zero", "mean", "resample"] = "zero"
    split: Literal["train", "dev", "test"] = "test"
    examples: int | None = Field(None, ge=2, description="at most so many examples a task")
    seed: Seed = 0


class Inference(Strict):
    """Sizes and seed of the permutation tests and bootstraps."""

    seed: Seed = 20230219
    permutations: int = Field(9_999, ge=99)
    searchlight_permutations: int = Field(
        2_000,
        ge=19,
        description="relabellings; a family-wise p is exact with any number, and false discovery rates come from tails "
        "(10,000 take about four times as long)",
    )
    rotations: int = Field(
        10_000,
        ge=19,
        description="of what the other attributes leave of one: at most, in each of five sets that are also counted by",
    )
    bootstraps: int = Field(1_000, ge=99)
    bijections: int = Field(
        0, ge=0, description="moves of all attributes' masks together, where lesions are live (0: none)"
    )


NAME = "[a-z][a-z0-9-]*"
LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # the same, ten times as fast, where it was built
LABELS = "say what label ids 0, 1, ... of the comments mean (corpus.labels: a list; null: the emotions, then neutral)"
TOGETHER = (
    ("corpus.labels", ("corpus.train", "corpus.dev", "corpus.test"), LABELS),
    *(
        (field, ("humans.order",), f"its rows go by that order; give a file of yours as {field}, or null")
        for field in ("humans.judgments", "humans.scores", "humans.attribute_rdms")
    ),
)
"""Fields without which files mean something else: a study that changes the files gives them too."""


def _drop_null(fields: Any) -> Any:
    """Leave out what a study takes over from another and does not want."""
    return {k: value for k, value in fields.items() if value is not None} if isinstance(fields, dict) else fields


class Study(Strict):
    """Configuration of one study; see ``data/README.md`` for what each field means."""

    name: str = Field(pattern=f"^{NAME}$")
    title: str = Field(pattern=r"^[^\n]+$")
    description: str
    emotions: Labels
    attributes: Labels
    seeds: Annotated[tuple[Seed, ...], Field(min_length=2, description="at least two: reliability is between seeds")]
    layers: int = Field(ge=1)
    neurons: int = Field(ge=1, description="FFN neurons per layer")
    prompt_length: int = Field(ge=1, description="soft-prompt vectors")
    sizes: Annotated[tuple[PositiveInt, ...], Field(min_length=1, description="numbers of neurons silenced")]
    size: int = Field(description="the size N that single-size figures and tests use; one of `sizes`")
    distance: Literal["correlation", "euclidean"] = "correlation"
    stages: Stages
    humans: Humans
    corpus: Corpus
    backbone: BackboneConfig | None = None
    world: WorldPlan | None = None
    tuning: Tuning = Tuning()
    lesions: LesionPlan = LesionPlan()
    device: str = Field("auto", pattern=r"^(auto|cpu|cuda(:\d+)?)$", description="auto, cpu, cuda")
    threads: int | None = Field(None, ge=1, le=1024, description="PyTorch's CPU threads; a small model is fastest with 1")
    edition: bool = Field(True, description="its executed chapters belong in the book's folder")
    untrained_baseline: bool = Field(False, description="live studies: also tune on the network with random weights")
    baselines: Annotated[dict[str, dict[str, Any]], BeforeValidator(_drop_null)] = Field(
        {"untrained": {}},
        description="untrained networks: name -> parameters that change, so that prompts learn on them; null: not this one",
    )
    emotion_words: dict[str, tuple[str, ...]] = Field(
        {}, description="words of each emotion; lesions are tested again on comments that hold none of them"
    )
    committed: str | None = Field(None, pattern=f"^{NAME}(/{NAME})?$", description="folder of `data` for its results")
    released: Released | None = None
    inference: Inference = Inference()

    @model_validator(mode="after")
    def _consistent(self) -> "Study":
        for field in ("emotions", "attributes", "seeds", "sizes"):
            values = getattr(self, field)
            if len(set(values)) != len(values):
                raise ValueError(f"{field} lists a value twice: {values}")
        if self.size not in self.sizes:
            raise ValueError(f"size {self.size} is not one of sizes {list(self.sizes)}")
        if max(self.sizes) >= self.layers * self.neurons:
            raise ValueError(
                f"sizes go to {max(self.sizes)}, the model has {self.layers * self.neurons} neurons, and some must be left"
            )
        origins = set(self.stages.model_dump().values())
        if origins & {"computed", "committed"} and self.backbone is None:
            raise ValueError("a stage is 'computed' or 'committed' but the study has no 'backbone' section")
        if "committed" in origins and self.committed is None:
            raise ValueError("a stage is 'committed' but the study does not say in which folder (`committed`)")
        if self.untrained_baseline and not self.baselines:
            raise ValueError("untrained_baseline needs a baseline, even if it changes nothing: {untrained: {}}")
        unknown = [key for changes in self.baselines.values() for key in changes if key not in known_parameters()]
        if unknown:
            raise ValueError(f"baselines change an unknown parameter '{unknown[0]}'")
        if self.untrained_baseline and (self.backbone is None or self.stages.prompts == "released"):
            raise ValueError("untrained_baseline needs a study whose prompts are computed on a backbone")
        if self.released is None and "released" in origins:
            raise ValueError("a stage is 'released' but the study has no 'released' section")
        if not set(self.selection_seeds) < set(self.seeds):
            raise ValueError(
                f"lesions.selection_seeds {list(self.selection_seeds)} must leave some of seeds {list(self.seeds)}"
            )
        if self.lesions.comparison not in self.lesions.comparisons:
            raise ValueError(f"lesions.comparison '{self.lesions.comparison}' is not one of lesions.comparisons")
        if self.stages.lesions == "released" and (self.lesions.measure, self.lesions.comparison) != ("accuracy", "random"):
            raise ValueError(
                "released lesions are accuracies under selective and random masks; lesions.measure "
                f"'{self.lesions.measure}' and lesions.comparison '{self.lesions.comparison}' need computed ones"
            )
        names = [
            *self.humans.files().values(),
            *self.humans.rating_files().values(),
            *self.corpus.model_dump().values(),
            *([self.backbone.name] if self.backbone else []),
        ]
        if self.world is None and any(isinstance(name, str) and name.startswith("planted:") for name in names):
            raise ValueError("a file is 'planted:' but the study has no 'world' section")
        if self.world is not None and max(self.world.voiced, self.world.judged or 0) > len(self.attributes):
            raise ValueError(f"world.voiced, world.judged: the study has {len(self.attributes)} attributes, give no more")
        if self.released is not None and set(self.released.lesion_keys.values()) != set(self.attributes):
            raise ValueError("released.lesion_keys must name every attribute of the study exactly once")
        return self

    def digest(self) -> str:
        """sha256 of the whole configuration (hex)."""
        return hashlib.sha256(json.dumps(self.model_dump(mode="json"), sort_keys=True).encode()).hexdigest()

    @property
    def kind(self) -> Literal["published", "live", "planted"]:
        """Where its network comes from: planted with its world, tuned and read by us, or released by others."""
        if self.world is not None:
            return "planted"
        return "published" if self.stages.prompts == "released" else "live"

    @property
    def selection_seeds(self) -> tuple[int, ...]:
        """Seeds whose prompts choose the neurons that are lesioned under the other seeds' prompts; none: all do both."""
        given = self.lesions.selection_seeds
        return self.seeds[: len(self.seeds) // 2] if given == "half" else given

    @property
    def choosing_seeds(self) -> tuple[int, ...]:
        """Seeds whose prompts choose the neurons to lesion: those set apart for it, else all."""
        return self.selection_seeds or self.seeds

    @property
    def keeps_layers(self) -> bool:
        """Whether the random masks that claims compare with have as many neurons in every layer as an attribute's mask."""
        return self.lesions.comparison != "random"

    @property
    def lesioned_seeds(self) -> tuple[int, ...]:
        """Seeds whose prompts are lesioned."""
        return tuple(seed for seed in self.seeds if seed not in self.selection_seeds)


def list_studies() -> list[str]:
    """Names of the studies that ship with the package, sorted."""
    return sorted(path.stem for path in (data_dir() / "studies").glob("*.yml"))


def write_example(folder: Path) -> Path:
    """Write the small complete study of ``data/example`` to a new folder, whose name it takes; return its study file.

    StudyError where the folder is there, or cannot be written, or its name is none for a study.
    """
    folder = folder.expanduser().absolute()
    if folder.exists():
        raise StudyError(f"{folder} is there already, and nothing was written; give another name")
    if not re.fullmatch(NAME, folder.name) or folder.name in list_studies():
        raise StudyError(
            f"'{folder.name}' is no name for a study of yours: small letters, digits and hyphens, and not taken"
        )
    part = folder.with_name(f".{folder.name}.part")
    try:
        part.mkdir(parents=True, exist_ok=True)
        for source in (data_dir() / "example").iterdir():
            text = source.read_text(encoding="utf-8")
            (part / source.name).write_text(text.replace("name: my-study", f"name: {folder.name}", 1), encoding="utf-8")
        part.rename(folder)
    except OSError as error:
        shutil.rmtree(part, ignore_errors=True)
        raise StudyError(f"{folder} cannot be written ({error.strerror}); nothing is left there") from None
    return folder / "study.yml"


def load_study(name: "str | Path | Study", /, **parameters: Any) -> Study:
    """Load a study by name or YAML path, with parameters changed.

    ``name``: from :func:`list_studies`, the path of a YAML file, or a study to change; ``parameters``: fields to replace,
    of which ``None`` leaves the study's own value and "null" takes it away. Nested ones have a dot or a double underscore:
    ``inference.permutations`` or ``inference__permutations``. StudyError for an unknown study, an unknown parameter or a
    wrong type, in one line that says what would have been right.
    """
    fields = name.model_dump(mode="json") if isinstance(name, Study) else _read(str(name))
    label = name.name if isinstance(name, Study) else str(name)
    given = {key.replace("__", "."): parse_text(value) for key, value in parameters.items() if value is not None}
    _check_replaced(fields, given, label)
    for key, value in given.items():
        _set(fields, key, value)
    try:
        return Study.model_validate(fields)
    except ValidationError as error:
        raise StudyError(f"study '{label}': {_describe(error)}") from None


def known_parameters() -> list[str]:
    """Every parameter a re-runner may give, nested ones with a dot."""
    names = []
    for field, info in Study.model_fields.items():
        kinds = [info.annotation, *get_args(info.annotation)]
        nested = next((k for k in kinds if isinstance(k, type) and issubclass(k, BaseModel)), None)
        if nested is not None:
            names += [f"{field}.{inner}" for inner in nested.model_fields]
        elif field != "name":
            names.append(field)
    return names


def _read(name: str, children: tuple[Path, ...] = ()) -> dict[str, Any]:
    """Fields of a study file over those of the study it extends; paths in it are taken from where it lies."""
    path = _find(name, children[-1].parent if children else Path.cwd())
    if path in children:
        raise StudyError(f"studies extend each other in a circle: {' -> '.join(p.name for p in (*children, path))}")
    try:
        fields = _parse(path.read_text(encoding="utf-8-sig"), path)
    except UnicodeDecodeError as error:
        raise StudyError(f"{path} is not UTF-8 text ({error}); save it as UTF-8") from None
    if not isinstance(fields, dict) or not all(isinstance(key, str) for key in fields):
        raise StudyError(f"{path} holds no mapping of study fields; see data/README.md")
    backbone = fields.get("backbone")
    if isinstance(backbone, dict):  # a folder beside the study, wherever the command is given
        name = str(backbone.get("name", "/"))
        if not Path(name).is_absolute() and (path.parent / name).is_dir():
            fields["backbone"] = {**backbone, "name": f"local:{name}"}
    fields = _resolve(fields, path)
    parent = fields.pop("extends", None)
    if parent is not None:
        base = _read(str(parent), (*children, path))
        _check_replaced(base, _flatten(fields), str(path))
        fields = _merge(base, fields)
    shipped = path.parent == data_dir().resolve() / "studies"
    if not children and not shipped and fields.get("name") in list_studies():
        raise StudyError(f"{path}: '{fields['name']}' is a study of the book; give yours another name")
    return fields


def _parse(text: str, path: Path) -> Any:
    """Content of a YAML file in which every key stands once, and nothing is repeated by an alias, however often."""
    deep = 0
    try:
        for event in yaml.parse(text, Loader=LOADER):
            deep += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
            if isinstance(event, yaml.AliasEvent):
                raise StudyError(f"{path}{_place(event.start_mark)} repeats something by an alias (*...); write it out")
            if deep > 20:
                raise StudyError(f"{path}{_place(event.start_mark)} is nested too deeply")
        loader = LOADER(text)
        node = loader.get_single_node()
        _check_keys(node, path)
        return None if node is None else loader.construct_document(node)
    except yaml.MarkedYAMLError as error:
        mark, what = error.problem_mark, " ".join(str(error.problem).split())
        if mark and "".join(text.split("\n")[mark.line : mark.line + 1])[mark.column : mark.column + 1] == "\t":
            what = "a tab cannot indent, use spaces"
        raise StudyError(f"{path}{_place(mark)} is not valid YAML: {what}") from None
    except yaml.YAMLError as error:
        raise StudyError(f"{path} is not valid YAML: {' '.join(str(error).split())}") from None


def _place(mark: Any) -> str:
    return f", line {mark.line + 1}" if mark else ""


def _check_keys(node: yaml.Node | None, path: Path) -> None:
    """Refuse a key that stands twice in a mapping: of two values one would be lost."""
    pairs = node.value if isinstance(node, yaml.MappingNode) else []
    first: dict[str, int] = {}
    for key, value in pairs:
        if isinstance(key, yaml.ScalarNode):
            line = key.start_mark.line + 1
            if key.value in first:
                raise StudyError(
                    f"{path}, line {line} gives {key.value} again (first in line {first[key.value]}); keep one"
                )
            first[key.value] = line
        _check_keys(value, path)


def _check_replaced(base: dict[str, Any], changes: dict[str, Any], label: str) -> None:
    """Refuse files of one's own that would be read by another study's list of labels, or in another study's order."""
    before = _flatten(base)
    changed = {field for field, value in changes.items() if value != before.get(field)}
    for field, files, remedy in TOGETHER:
        replaced = sorted(changed & set(files))
        if replaced and field not in changes and before.get(field) is not None:
            raise StudyError(f"study '{label}' changes {replaced[0]} and not {field}, which belongs to it: {remedy}")
    by_order = before.get("corpus.labels") is None and str(before.get("corpus.train")).startswith("local:")
    if by_order and "emotions" in changed and not changes.keys() & {"corpus.labels", "corpus.train"}:
        raise StudyError(f"study '{label}' changes emotions, by whose order the comments' label ids go: {LABELS}")


def _find(name: str, folder: Path) -> Path:
    """Path of a study: a file, relative to ``folder``, or one that ships with the package."""
    if not name.strip():
        raise StudyError("no study was named; give the name of one, or the path of its .yml file")
    if name.endswith((".yml", ".yaml")):
        path = (folder / Path(name).expanduser()).resolve()
        if not path.is_file():
            raise StudyError(f"there is no file {path}; correct the path of the study's .yml file")
    elif name not in list_studies() and (folder / Path(name).expanduser()).is_file():
        raise StudyError(f"'{name}' is no study: the name of a study's file ends in .yml; rename it, or give another")
    else:
        path = data_dir() / "studies" / (f"{name}.yml" if re.fullmatch(NAME, name) else "")
    if path.is_file():
        return path
    close = difflib.get_close_matches(name, list_studies(), n=1)
    if (folder / name / "study.yml").is_file():
        close = [f"{name}/study.yml"]
    hint = f"did you mean '{close[0]}'?" if close else f"known studies: {', '.join(list_studies())}"
    raise StudyError(f"unknown study '{name}'; {hint} (or give the path of a .yml file)")


def _resolve(value: Any, path: Path) -> Any:
    """Make every ``local:`` path of a study file absolute; one that leads out of the file's folder is refused."""
    if isinstance(value, dict):
        return {key: _resolve(inner, path) for key, inner in value.items()}
    if not isinstance(value, str) or not value.startswith("local:"):
        return value
    target = (path.parent / Path(value.removeprefix("local:")).expanduser()).resolve()
    if not target.is_relative_to(path.parent) and not os.environ.get("EMONB_ALLOW_OUTSIDE"):
        raise StudyError(
            f"{path} names a file outside its own folder, {target}; move it there, give it with -p, or set "
            "EMONB_ALLOW_OUTSIDE=1 if you trust the study file"
        )
    return f"local:{target}"


def _flatten(fields: dict[str, Any]) -> dict[str, Any]:
    """Fields by dotted name."""
    nested = {f"{key}.{inner}": v for key, part in fields.items() if isinstance(part, dict) for inner, v in part.items()}
    return {**fields, **nested}


def _merge(base: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """Lay changed fields over a study's, nested ones field by field."""
    both = {key: _merge(base[key], value) if isinstance(value, dict) and isinstance(base.get(key), dict) else value
            for key, value in changes.items()}  # fmt: skip
    return {**base, **both}


def _set(fields: dict[str, Any], key: str, value: Any) -> None:
    if key not in known_parameters():
        same = [name for name in known_parameters() if name.rpartition(".")[2] == key.rpartition(".")[2]]
        close = same or difflib.get_close_matches(key, known_parameters(), n=1)
        hint = f"did you mean '{close[0]}'?" if close else f"known parameters: {', '.join(known_parameters())}"
        raise StudyError(f"unknown parameter '{key}'; {hint}")
    *parents, last = key.split(".")
    for parent in parents:
        if not isinstance(fields.get(parent), dict):
            fields[parent] = {}
        fields = fields[parent]
    if isinstance(value, str) and value.startswith("local:"):
        value = f"local:{Path(value.removeprefix('local:')).expanduser().absolute()}"
    fields[last] = value


def parse_text(value: Any) -> Any:
    """Read a list, a mapping or null given as text, as command lines give it; anything else is left as it is.

    >>> parse_text("[1, 3]"), parse_text("cpu")
    ([1, 3], 'cpu')
    """
    if isinstance(value, str) and (value == "null" or value[:1] in ("[", "{")):
        try:
            return yaml.safe_load(value)
        except yaml.YAMLError:
            return value
    return value


FORMS = {
    "title": "one line of text",
    "name": "small letters, digits and hyphens, a letter first",
    "device": "auto, cpu, cuda or cuda:1",
    "committed": "the name of a folder of data",
    "corpus.labels": "the names of label ids 0, 1, ...; null: the emotions, then neutral",
    "humans.scale": "a scale is [lowest, highest] answer, or of each kind of file, {judgments: [1, 7], ratings: [0, 100]}",
}
"""What fields look like whose type says too little."""


def _describe(error: ValidationError) -> str:
    """First three fields that are wrong, each once; what a rule of ours says goes before what a type says."""
    parts: dict[str, str] = {}
    wrong = {".".join(map(str, item["loc"][:-1])) for item in error.errors()}
    for item in sorted(error.errors(), key=lambda item: item["type"] != "value_error"):
        names = takewhile(lambda part: "[" not in part, map(str, item["loc"]))  # then comes the name of a type
        where = ".".join(names) or "configuration"
        if item["type"] == "too_short" and where in wrong:  # only what is wrong in it was left out
            continue
        got = "" if isinstance(item["input"], dict | BaseModel) else f" (got {item['input']!r:.80})"
        plain = (item["type"] != "missing" and FORMS.get(where)) or item["msg"].replace("a valid tuple", "a list").replace(
            "Tuple", "List"
        )
        said = f"{plain.removeprefix('Value error, ').replace(' after validation', '')}{got}"
        if item["type"] == "model_type" and item["input"] is None:
            optional = where in Study.model_fields and not Study.model_fields[where].is_required()
            said = f"give its fields{', or leave it out' if optional else ''}"
        if item["type"] == "extra_forbidden":
            close = difflib.get_close_matches(where, known_parameters(), n=1)
            said = f"there is no such field{f'; did you mean {close[0]}?' if close else ''}"
        parts.setdefault(where, said)
    return "; ".join(f"{where}: {said}" for where, said in list(parts.items())[:3])
