"""A study: the named, validated configuration that every stage, chapter and edition is made from.

``data/studies/NAME.yml`` holds one study. Everything a re-runner may change is a field of :class:`Study`; a field
that does not exist, or a value of the wrong type, is an error before any work is done.
"""

import difflib
import hashlib
import json
import os
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from emonb.errors import StudyError

Labels = Annotated[tuple[str, ...], Field(min_length=2)]
Origin = Literal["released", "computed"]


def data_dir() -> Path:
    """Folder of studies, registry and ledger: the checkout's ``data/``, or the copy installed with the package."""
    here = Path(__file__).resolve().parent
    for folder in (here.parent / "data", here / "_data"):
        if (folder / "studies").is_dir():
            return folder
    raise StudyError(f"no data folder beside the package at {here}: reinstall emonb, or run from a checkout")


def runs_dir() -> Path:
    """Folder for artifacts: ``EMONB_RUNS`` if set, else ``runs/`` in the checkout, else ``runs/`` where you are."""
    if os.environ.get("EMONB_RUNS"):
        return Path(os.environ["EMONB_RUNS"]).expanduser()
    root = data_dir().parent
    return (root if (root / "pyproject.toml").is_file() else Path.cwd()) / "runs"


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Stages(_Strict):
    """Where each stage's result comes from: computed here, or taken from files the authors released."""

    prompts: Origin
    activations: Origin
    lesions: Origin


class Released(_Strict):
    """How the authors' released files name things (paths are URL paths after the host; see ``data/registry.txt``)."""

    accuracy: str
    activations: str = Field(description="path template with {emotion} and {seed}")
    lesions_selective: str = Field(description="path template with {emotion} and {seed}")
    lesions_random: str = Field(description="path template with {emotion} and {seed}")
    ranks: str
    lesion_keys: dict[str, str] = Field(description="attribute name in the lesion JSON -> attribute of the study")
    random_only_sizes: tuple[int, ...] = ()


class Humans(_Strict):
    """Human data: order of the emotions, judgments of pairs, attribute scores and RDMs, raters' agreement."""

    order: str
    judgments: str
    mean_judgments: str
    scores: str
    attribute_rdms: str
    agreement: str


class Corpus(_Strict):
    """Comments the prompts were tuned on, by split."""

    train: str
    dev: str
    test: str


class BackboneConfig(_Strict):
    """The frozen masked language model: a hub name or folder (``name``), or one made here (``architecture``)."""

    name: str = Field("", description="hub name or local folder with safetensors weights")
    revision: str = Field("", description="commit of the hub repository")
    family: str = "roberta"
    architecture: dict[str, Any] | None = Field(None, description="configuration of a freshly initialised model")
    vocabulary: tuple[str, ...] = ()
    seed: int = Field(0, description="of the fresh initialisation")
    verbalizer: tuple[str, str] = Field(("negative", "positive"), description='the words for "no" and "yes"')
    position_offset: Literal["paper", "roberta"] = Field("paper", description="positions from 0, or the model's own")
    dtype: Literal["float32", "bfloat16"] = "float32"
    untrained: bool = Field(False, description="random weights in the shape of `name`, drawn with `seed`")


class Tuning(_Strict):
    """How prompts are tuned (Li et al.: AdamW, learning rate 2e-3, 2 epochs, batch 16)."""

    learning_rate: float = Field(2e-3, gt=0)
    weight_decay: float = Field(0.01, ge=0)
    epochs: int = Field(2, ge=1)
    batch: int = Field(16, ge=1)
    schedule: Literal["constant", "linear"] = Field("linear", description="linear: to 0 over all steps of a prompt")
    max_length: int = Field(256, ge=3, description="tokens of a comment, start and end included")
    negatives: Literal["paper", "true"] = Field("paper", description="from all comments, or from those without the emotion")
    examples: int | None = Field(None, ge=2, description="at most so many training examples a prompt (for small runs)")
    tokens_per_batch: int = Field(
        16_384, ge=64, description="positions that go through the model at once; bounds the memory"
    )
    checkpoint_every: int = Field(50, ge=1, description="steps between checkpoints")


class LesionPlan(_Strict):
    """What is silenced, against which controls, and on what it is tested."""

    controls: tuple[Literal["random", "random_layer", "random_matched"], ...] = ("random", "random_layer", "random_matched")
    draws: int = Field(20, ge=1, description="random masks of each kind (per attribute where matched to one)")
    ablation: Literal["zero", "mean", "resample"] = "zero"
    split: Literal["train", "dev", "test"] = "test"
    examples: int | None = Field(None, ge=2, description="at most so many examples a task")
    seed: int = 0


class Inference(_Strict):
    """Sizes and seed of the permutation tests and bootstraps."""

    seed: int = 20230219
    permutations: int = Field(9_999, ge=99)
    searchlight_permutations: int = Field(1_000, ge=19)
    bootstraps: int = Field(1_000, ge=99)
    alpha: float = Field(0.05, gt=0, lt=1)


class Study(_Strict):
    """Configuration of one study; see ``data/README.md`` for what each field means."""

    name: str = Field(pattern=r"^[a-z][a-z0-9-]*$")
    title: str
    description: str
    emotions: Labels
    attributes: Labels
    seeds: Annotated[tuple[int, ...], Field(min_length=2, description="at least two: reliability is between seeds")]
    layers: int = Field(ge=1)
    neurons: int = Field(ge=1, description="FFN neurons per layer")
    prompt_length: int = Field(ge=1, description="soft-prompt vectors")
    sizes: Annotated[tuple[int, ...], Field(min_length=1, description="numbers of neurons silenced")]
    size: int = Field(description="the size N that single-size figures and tests use; one of `sizes`")
    distance: Literal["correlation", "euclidean"] = "correlation"
    stages: Stages
    humans: Humans
    corpus: Corpus
    backbone: BackboneConfig | None = None
    tuning: Tuning = Tuning()
    lesions: LesionPlan = LesionPlan()
    device: str = Field("auto", description="auto, cpu, cuda")
    untrained_baseline: bool = Field(False, description="live studies: also tune on the network with random weights")
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
        if max(self.sizes) > self.layers * self.neurons:
            raise ValueError(f"sizes go to {max(self.sizes)}, the model has {self.layers * self.neurons} neurons")
        if "computed" in self.stages.model_dump().values() and self.backbone is None:
            raise ValueError("a stage is 'computed' but the study has no 'backbone' section")
        if self.untrained_baseline and (self.backbone is None or self.stages.prompts == "released"):
            raise ValueError("untrained_baseline needs a study whose prompts are computed on a backbone")
        if self.released is None and "released" in self.stages.model_dump().values():
            raise ValueError("a stage is 'released' but the study has no 'released' section")
        if self.released is not None and set(self.released.lesion_keys.values()) != set(self.attributes):
            raise ValueError("released.lesion_keys must name every attribute of the study exactly once")
        return self

    def digest(self) -> str:
        """sha256 of the whole configuration (hex)."""
        return hashlib.sha256(json.dumps(self.model_dump(mode="json"), sort_keys=True).encode()).hexdigest()

    @property
    def run_name(self) -> str:
        """Name of the run directory: the study's name, with a hash behind it when a parameter was changed."""
        pristine = self.name in list_studies() and self == load_study(self.name)
        return self.name if pristine else f"{self.name}-{self.digest()[:8]}"


def list_studies() -> list[str]:
    """Names of the studies that ship with the package, sorted."""
    return sorted(path.stem for path in (data_dir() / "studies").glob("*.yml"))


def load_study(name: "str | Path | Study", /, **parameters: Any) -> Study:
    """Load a study by name or YAML path, with parameters changed.

    Parameters
    ----------
    name : str, Path or Study
        A name from :func:`list_studies`, the path of a YAML file, or a study to change.
    **parameters
        Fields to replace; ``None`` leaves the study's own value. Nested fields are written with a dot or a double
        underscore: ``inference.permutations`` or ``inference__permutations``.

    Returns
    -------
    Study

    Raises
    ------
    StudyError
        Unknown study, unknown parameter or wrong type, in one line that says what would have been right.
    """
    fields = name.model_dump(mode="json") if isinstance(name, Study) else json.loads(json.dumps(_read(str(name))))
    for key, value in parameters.items():
        if value is not None:
            _set(fields, key.replace("__", "."), _parse_list(value))
    try:
        return Study.model_validate(fields)
    except ValidationError as error:
        label = name.name if isinstance(name, Study) else name
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


@cache
def _read(name: str) -> dict[str, Any]:
    path = Path(name) if name.endswith((".yml", ".yaml")) else data_dir() / "studies" / f"{name}.yml"
    if not path.is_file():
        close = difflib.get_close_matches(name, list_studies(), n=1)
        hint = f"did you mean '{close[0]}'?" if close else f"known studies: {', '.join(list_studies())}"
        raise StudyError(f"unknown study '{name}'; {hint} (or give the path of a .yml file)")
    try:
        fields = yaml.safe_load(path.read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        raise StudyError(f"{path} is not valid YAML: {' '.join(str(error).split())}") from None
    if not isinstance(fields, dict):
        raise StudyError(f"{path} holds no mapping of study fields")
    return fields


def _set(fields: dict[str, Any], key: str, value: Any) -> None:
    if key not in known_parameters():
        close = difflib.get_close_matches(key, known_parameters(), n=1)
        hint = f"did you mean '{close[0]}'?" if close else f"known parameters: {', '.join(known_parameters())}"
        raise StudyError(f"unknown parameter '{key}'; {hint}")
    *parents, last = key.split(".")
    for parent in parents:
        fields = fields.setdefault(parent, {})
    fields[last] = value


def _parse_list(value: Any) -> Any:
    """Read a list or mapping given as text, as papermill's command line does: "[1, 3]"."""
    if isinstance(value, str) and value[:1] in ("[", "{"):
        try:
            return yaml.safe_load(value)
        except yaml.YAMLError:
            return value
    return value


def _describe(error: ValidationError) -> str:
    parts = []
    for item in error.errors()[:3]:
        where = ".".join(str(part) for part in item["loc"]) or "configuration"
        got = "" if isinstance(item["input"], dict | BaseModel) else f" (got {item['input']!r})"
        parts.append(f"{where}: {item['msg'].removeprefix('Value error, ')}{got}")
    return "; ".join(parts)
