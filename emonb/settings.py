"""The parts of a study's configuration: what each section of ``data/studies/NAME.yml`` may say."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

Labels = Annotated[tuple[str, ...], Field(min_length=2)]
Origin = Literal["released", "computed", "committed"]
Seed = Annotated[int, Field(ge=0, lt=2**32)]
Comparison = Literal["random", "random_layer", "random_matched", "random_norm"]


class Strict(BaseModel):
    """No unknown fields, no changes after validation."""

    model_config = ConfigDict(extra="forbid", frozen=True)


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

    order: str
    judgments: str
    mean_judgments: str | None = Field(None, description="checked against the judgments where given")
    scores: str | None = None
    attribute_rdms: str | None = None
    agreement: str
    ratings: str | None = Field(
        None, description="in place of finished scores: a long table with columns rater, emotion, attribute, value"
    )
    raw: RawFiles | None = Field(None, description="what the finished scores were made from, where it was released")

    @model_validator(mode="after")
    def _scores_once(self) -> "Humans":
        finished = [self.scores is not None, self.attribute_rdms is not None]
        if self.ratings is not None and (any(finished) or self.raw is not None):
            raise ValueError("give finished scores and attribute_rdms, or raw ratings, not both")
        if self.ratings is None and not all(finished):
            raise ValueError("give scores and attribute_rdms, or ratings")
        return self

    @property
    def rated(self) -> bool:
        """Whether it is known who gave which rating."""
        return self.ratings is not None or self.raw is not None

    def files(self) -> dict[str, str]:
        """Names of the files that all analyses read, by field."""
        return self.model_dump(exclude={"raw"}, exclude_none=True)

    def rating_files(self) -> dict[str, str]:
        """Names of the files with single ratings and judgments, by field; none where only finished scores are known."""
        return self.raw.model_dump() if self.raw else self.model_dump(include={"ratings"}, exclude_none=True)


class Corpus(Strict):
    """Comments the prompts were tuned on, by split, and what their label ids mean."""

    train: str
    dev: str
    test: str
    labels: tuple[str, ...] | None = Field(
        None, description="names of label ids 0, 1, ...; if not given, the study's emotions in their order, then neutral"
    )


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
        1_000, ge=19, description="of what the other attributes leave of one, in each of five sets that are also counted by"
    )
    searchlight_moments: int = Field(
        2_000,
        ge=19,
        description="further rotations that give each neuron's null distribution its mean and standard deviation; "
        "few make the test coarse, not wrong (of relabellings the moments are exact)",
    )
    bootstraps: int = Field(1_000, ge=99)
    bijections: int = Field(
        0, ge=0, description="moves of all attributes' masks together, where lesions are live (0: none)"
    )
    alpha: float = Field(0.05, gt=0, lt=1)
