"""The stages of a study and what each is made from; asking for one computes what it needs upstream and nothing else."""

import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import xarray as xr

from emonb import artifacts
from emonb.analysis import attributes, rdm
from emonb.book.claims import Ledger
from emonb.data import goemotions, humans, released, sources
from emonb.errors import StudyError
from emonb.paths import data_dir, runs_dir
from emonb.run import live
from emonb.study import Study, load_study
from emonb.world import files

Inputs = Mapping[str, xr.Dataset]


@dataclass(frozen=True)
class Stage:
    """One stage: the artifacts it needs, the study fields it reads, the upstream files it reads, how it is made."""

    make: Callable[["Run", Inputs], xr.Dataset]
    needs: tuple[str, ...] = ()
    fields: tuple[str, ...] = ()
    files: Callable[[Study], list[str]] = lambda study: []
    modules: tuple[str, ...] = ()


class Run:
    """One study with its run directory: loads artifacts by name, computing what is missing.

    Parameters
    ----------
    study : Study
    chapter : str, optional
        Name of the chapter that records quantities and claims through :attr:`ledger`.
    progress : bool
        Show progress bars.
    """

    def __init__(self, study: Study, chapter: str | None = None, progress: bool = True) -> None:
        self.study = study
        self.chapter = chapter
        self.progress = progress
        self.folder = runs_dir() / study.run_name
        self._loaded: dict[str, xr.Dataset] = {}

    @cached_property
    def ledger(self) -> Ledger:
        """The claims ledger, recording under this run's directory for this chapter."""
        if self.chapter is None:
            raise StudyError("only a chapter records claims: open the run with chapter='NAME'")
        record = self.folder / "claims" / f"{self.chapter}.json"
        return Ledger(data_dir() / "claims.yml", record, self.chapter, self.study.name, files.read_truth(self.study))

    def path(self, name: str) -> Path:
        """Path of an artifact's netCDF file, computed first if it is missing.

        Raises
        ------
        StudyError
            No such artifact.
        SourceError, LabelError
            Upstream files that cannot be had or do not fit the study.
        """
        stage, path = _stage(name, self.study), self.folder / f"{name}-{self.key(name)}.nc"
        if not path.is_file():
            inputs = {need: self.load(need) for need in stage.needs}
            dataset = stage.make(self, inputs)
            dataset.attrs.update(study=self.study.name, stage=name, key=self.key(name))
            artifacts.write(dataset, path)
            shutil.rmtree(self.work(name), ignore_errors=True)
        return path

    def load(self, name: str) -> xr.Dataset:
        """Load an artifact into memory, computed first if it is missing."""
        if name not in self._loaded:
            self._loaded[name] = artifacts.read(self.path(name))
        return self._loaded[name]

    def key(self, name: str) -> str:
        """Hash of all that makes an artifact: study fields, code, upstream files, upstream artifacts."""
        stage, fields = _stage(name, self.study), self.study.model_dump(mode="json")
        return artifacts.make_key(
            stage=name,
            fields={field: fields[field] for field in stage.fields},
            code=[artifacts.code_digest(f"emonb.{module}") for module in stage.modules],
            files={path: self._fingerprint(path) for path in stage.files(self.study)},
            needs={need: self.key(need) for need in stage.needs},
        )

    def untrained(self) -> "Run":
        """Return the same study on a network of the same shape with random weights (others, if they are random already)."""
        assert self.study.backbone is not None
        seed = self.study.backbone.seed + int(self.study.backbone.untrained)
        changes = {"backbone.untrained": True, "backbone.seed": seed, "untrained_baseline": False}
        return Run(load_study(self.study, **changes), progress=self.progress)

    def work(self, name: str) -> Path:
        """Folder for unfinished parts of a stage, which a second start resumes from; removed when it is done."""
        return self.folder / "work" / f"{name}-{self.key(name)}"

    def fetch(self, names: list[str]) -> dict[str, Path]:
        """Local paths of upstream files, and of planted ones."""
        upstream = sources.fetch([n for n in names if not files.is_planted(n)], progress=self.progress)
        return upstream | {n: files.plant(self.study, n, self.progress) for n in names if files.is_planted(n)}

    def fetch_corpus(self) -> dict[str, Path]:
        """Local paths of the study's comments, by split."""
        names = self.study.corpus.model_dump()
        paths = self.fetch(list(names.values()))
        return {split: paths[name] for split, name in names.items()}

    def live_study(self) -> Study:
        """Return the study with a planted backbone's name replaced by its folder."""
        backbone = self.study.backbone
        if backbone is None or not files.is_planted(backbone.name):
            return self.study
        folder = str(self.fetch([backbone.name])[backbone.name])
        return self.study.model_copy(update={"backbone": backbone.model_copy(update={"name": folder})})

    def _fingerprint(self, name: str) -> str:
        return files.fingerprint(self.study, name) if files.is_planted(name) else sources.fingerprint(name)

    def __repr__(self) -> str:
        return f"Run({self.study.run_name})"

    def _repr_markdown_(self) -> str:
        from emonb import __version__

        s = self.study
        rows = [
            ("study", f"`{s.name}`: {s.title}"),
            ("emotions, attributes", f"{len(s.emotions)}, {len(s.attributes)}"),
            ("seeds", ", ".join(map(str, s.seeds))),
            ("model", f"{s.layers} layer{'s' * (s.layers > 1)} × {s.neurons} FFN neurons"),
            ("distance, size N", f"{s.distance}, {s.size}"),
            ("made by", f"emonb {__version__}"),
        ]
        return "\n".join(["| run with | |", "|---|---|", *(f"| {a} | {b} |" for a, b in rows)])


def open_run(study: str | Study, chapter: str | None = None, progress: bool = True, **parameters: Any) -> Run:
    """Open a study for a chapter or a script; parameters that are ``None`` keep the study's own value.

    Raises
    ------
    StudyError
        Unknown study, unknown parameter or wrong type.
    """
    return Run(load_study(study, **parameters), chapter, progress)


def study_files(study: Study) -> list[str]:
    """Every upstream file the study's stages read, without duplicates and without what is planted here."""
    names = dict.fromkeys(path for name in STAGES for path in _stage(name, study).files(study))
    return [name for name in names if not files.is_planted(name)]


def _stage(name: str, study: Study) -> Stage:
    if name not in STAGES:
        raise StudyError(f"unknown artifact '{name}'; known: {', '.join(STAGES)}")
    return LIVE[name] if getattr(study.stages, name, "released") == "computed" else STAGES[name]


def _human_files(study: Study) -> list[str]:
    return list(humans.human_files(study).values())


def _make_humans(run: Run, inputs: Inputs) -> xr.Dataset:
    files = humans.human_files(run.study)
    paths = run.fetch(list(files.values()))
    return humans.read_humans(run.study, {field: paths[path] for field, path in files.items()})


def _accuracy_files(study: Study) -> list[str]:
    return [study.released.accuracy] if study.released else []


def _make_prompts(run: Run, inputs: Inputs) -> xr.Dataset:
    (path,) = run.fetch(_accuracy_files(run.study)).values()
    return released.read_accuracy(run.study, path).to_dataset()


def _activation_files(study: Study) -> list[str]:
    return list(released.released_files(study, "activations").values())


def _make_activations(run: Run, inputs: Inputs) -> xr.Dataset:
    files = released.released_files(run.study, "activations")
    paths = run.fetch(list(files.values()))
    array = released.read_activations(run.study, {key: paths[path] for key, path in files.items()}, run.progress)
    return array.to_dataset()


def _make_rdms(run: Run, inputs: Inputs) -> xr.Dataset:
    return rdm.compute_rdms(inputs["activations"].activation, inputs["humans"])


def _make_searchlight(run: Run, inputs: Inputs) -> xr.Dataset:
    order = list(inputs["humans"].emotion.values)
    return attributes.search_neurons(inputs["activations"].activation, inputs["humans"].attribute_rdm, order)


def _rank_files(study: Study) -> list[str]:
    return [study.released.ranks] if study.released else []


def _make_ranks(run: Run, inputs: Inputs) -> xr.Dataset:
    (path,) = run.fetch(_rank_files(run.study)).values()
    return released.read_ranks(run.study, path).to_dataset()


def _lesion_files(study: Study) -> list[str]:
    kinds = ("lesions_selective", "lesions_random")
    return [path for kind in kinds for path in released.released_files(study, kind).values()]


def _make_lesions(run: Run, inputs: Inputs) -> xr.Dataset:
    paths = run.fetch(_lesion_files(run.study))
    files = {
        kind: {key: paths[path] for key, path in released.released_files(run.study, f"lesions_{kind}").items()}
        for kind in ("selective", "random")
    }
    return released.read_lesions(run.study, files)


def _make_searchlight_null(run: Run, inputs: Inputs) -> xr.Dataset:
    s = run.study.inference
    order = list(inputs["humans"].emotion.values)
    activations = inputs["activations"].activation.sel(emotion=order)
    device = "cpu"
    if run.study.device.startswith("cuda"):  # the same integers on both; `auto` spares analyses the import of PyTorch
        from emonb.model.compute import pick_device

        device = str(pick_device(run.study.device))
    return attributes.assess_neurons(
        activations, inputs["humans"].attribute_rdm, s.searchlight_permutations, s.seed, run.progress, device
    )


def _corpus_files(study: Study) -> list[str]:
    return list(study.corpus.model_dump().values())


def _make_corpus(run: Run, inputs: Inputs) -> xr.Dataset:
    comments = goemotions.read_goemotions(run.study, run.fetch_corpus())
    return goemotions.corpus_rdms(comments, list(inputs["humans"].emotion.values))


def _backbone_files(study: Study) -> list[str]:
    name = study.backbone.name if study.backbone else ""
    return [name] if files.is_planted(name) else []


def _live_files(study: Study) -> list[str]:
    return [*_corpus_files(study), *_backbone_files(study)]


def _tune(run: Run, inputs: Inputs) -> xr.Dataset:
    return live.tune(run.live_study(), run.fetch_corpus(), run.work("prompts"), run.progress)


def _read(run: Run, inputs: Inputs) -> xr.Dataset:
    return live.read(run.live_study(), inputs["prompts"])


def _lesion(run: Run, inputs: Inputs) -> xr.Dataset:
    prompts, activations = inputs["prompts"], inputs["activations"].activation
    rank = live.rank_selected(run.study, activations, inputs["humans"])
    study, files = run.live_study(), run.fetch_corpus()
    return live.lesion(study, files, prompts, activations, rank, run.work("lesions"), run.progress)


_LABELS = ("emotions", "attributes", "seeds")
_MODEL = ("layers", "neurons")

_BACKBONE = ("backbone", "tuning", "prompt_length")

STAGES: dict[str, Stage] = {
    "humans": Stage(_make_humans, (), ("emotions", "attributes", "humans"), _human_files, ("data.humans",)),
    "prompts": Stage(_make_prompts, (), _LABELS, _accuracy_files, ("data.released",)),
    "activations": Stage(_make_activations, (), (*_LABELS, *_MODEL), _activation_files, ("data.released",)),
    "rdms": Stage(_make_rdms, ("activations", "humans"), modules=("analysis.rdm",)),
    "searchlight": Stage(_make_searchlight, ("activations", "humans"), modules=("analysis.attributes",)),
    "searchlight_null": Stage(
        _make_searchlight_null, ("activations", "humans"), ("inference",), modules=("analysis.attributes",)
    ),
    "corpus_rdms": Stage(_make_corpus, ("humans",), ("emotions", "corpus"), _corpus_files, ("data.goemotions",)),
    "published_ranks": Stage(_make_ranks, (), (*_LABELS, *_MODEL), _rank_files, ("data.released",)),
    "lesions": Stage(_make_lesions, (), (*_LABELS, "sizes", "released"), _lesion_files, ("data.released",)),
}
"""Stages of a study; prompts, activations and lesions as read from released files."""

LIVE: dict[str, Stage] = {
    "prompts": Stage(_tune, (), (*_LABELS, "corpus", *_BACKBONE), _live_files, ("run.live", "model.tuning")),
    "activations": Stage(_read, ("prompts",), (*_MODEL, "backbone"), _backbone_files, ("run.live", "model.reading")),
    "lesions": Stage(
        _lesion,
        ("prompts", "activations", "humans"),
        ("corpus", "lesions", "sizes", *_BACKBONE),
        _live_files,
        ("run.live", "model.silencing", "analysis.masks"),
    ),
}
"""The same stages computed here."""

__all__ = ["LIVE", "STAGES", "Run", "Stage", "open_run", "study_files"]
