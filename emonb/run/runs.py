"""A run: one study, its results loaded by name from the store, and made when they are missing."""

import logging
import os
import shutil
from collections.abc import Mapping
from contextlib import AbstractContextManager, suppress
from functools import cached_property
from pathlib import Path
from typing import Any

from emonb import __version__, artifacts, store
from emonb.book import saying
from emonb.book.cards import read_verdict
from emonb.book.ledger import Ledger, group_undefined, judge_claim
from emonb.book.parameters import check_injected
from emonb.book.tables import Text, write_table
from emonb.data import sources, weights
from emonb.errors import ArtifactError, LabelError, SourceError, StudyError
from emonb.paths import data_dir, runs_dir
from emonb.run.parts import Parts, parts_of
from emonb.run.stages import LIVE, Need, Unkeyed, Work, stage_of
from emonb.study import BackboneConfig, Study, list_studies, load_study, parse_text
from emonb.world import files as planted

log = logging.getLogger("emonb")
NOTE = "study.json"
"""File of a run folder that says of which study it is: what its keys name is kept in the store."""
RECORD = "EMONB_RECORD"
"""Environment variable by which an edition tells a chapter that it executes where to record; nobody else sets it."""


class Run:
    """One study: loads results by name from the store, computing what is missing.

    Its own folder is that of its chapters, their stamps and records.

    Parameters
    ----------
    study : Study
    chapter : str, optional
        Name of the chapter that records quantities and claims through :attr:`ledger`.
    progress : bool
        Show progress bars.
    """

    def __init__(self, study: Study, chapter: str | None = None, progress: bool = True) -> None:
        self.study, self.chapter, self.progress = study, chapter, progress
        self.pristine = study.name in list_studies() and study == load_study(study.name)
        self.name = study.name if self.pristine else f"{study.name}-{study.digest()[:8]}"
        self.folder = runs_dir() / self.name
        self.used: dict[str, str] = {}  # checksum of every artifact loaded
        self._loaded: dict[str, Any] = {}
        self._keys: dict[str, str] = {}

    @cached_property
    def ledger(self) -> Ledger:
        """The claims ledger of this chapter.

        Its record is kept for an edition only where the edition itself executes the chapter; a notebook that is executed
        by hand, or a copy of one, records to a scratch file that nothing reads.
        """
        if self.chapter is None:
            raise StudyError("only a chapter records claims: open the run with chapter='NAME'")
        path = Path(os.environ.get(RECORD) or self.folder / "scratch" / f"{self.chapter}.json")
        truth = planted.read_truth(self.study)
        measure = self.study.lesions.measure
        return Ledger(data_dir() / "claims.yml", path, self.chapter, self.study.name, truth, self.used, measure)

    def fill(self, text: str, notebook: Mapping[str, Any]) -> str:
        """Fill a ``%%say`` cell (:func:`emonb.book.saying.render`) from this chapter's ledger.

        Beside its quantities the cell knows ``study`` ("published", "live" or "planted"), and of a
        claim, judged by what was recorded up to there, ``verdict("lesions")``, ``reads("lesions")``
        (the verdict in a sentence) and ``smallest("lesions")`` (the smallest effect that matters).
        """

        def judge(name: str) -> tuple[Any, Any]:
            claim = self.ledger.declared.claim(name)
            return claim, judge_claim(claim, self.ledger.quantities, self.study.name)

        return saying.render(
            text,
            self.ledger.quantities,
            {**notebook, "study": self.study.kind},
            verdict=lambda name: judge(name)[1]["holds"],
            reads=lambda name: read_verdict(*judge(name)) or "Not tested.",
            smallest=lambda name: self.ledger.declared.claim(name).smallest.effect,
        )

    def say_undefined(self) -> Text | None:
        """Say which quantities this chapter recorded as undefined and why; nothing where there are none."""
        lines = [f"- {line}" for line in group_undefined(self.ledger.undefined)]
        return Text("\n".join(["Not defined for these data:", "", *lines])) if lines else None

    def load(self, name: str) -> Any:
        """Load a result (a labelled dataset; for ``comments`` a table), made first if it is missing or damaged.

        Raises
        ------
        StudyError
            No such result.
        SourceError, LabelError
            Files that cannot be had or do not fit the study.
        """
        if name not in self._loaded:
            stage = stage_of(name, self.study)
            self._loaded[name] = self._read_or_make(name) if stage.stored else self.make(name)
        return self._loaded[name]

    def path(self, name: str) -> Path:
        """Path of a result's netCDF file, made first if it is missing or damaged."""
        if not stage_of(name, self.study).stored:
            raise StudyError(f"'{name}' is read anew each time and not stored")
        self.load(name)
        return self._file(name)

    def key(self, name: str) -> str:
        """Hash of all that makes a result: its stage's arguments and code."""
        if name not in self._keys:
            self._keys[name] = stage_of(name, self.study).key(self)
        return self._keys[name]

    def is_as_used(self, name: str, checksum: str) -> bool:
        """Tell whether a stored artifact still is what had this checksum (or is gone, and would be made anew)."""
        *baseline, stage = name.split("/")  # of an untrained network: untrained/STAGE, untrained/BASELINE/STAGE
        run = self.untrained(*baseline[1:]) if baseline else self
        try:
            path = run._file(stage)
            return not path.is_file() or artifacts.read_checksum(path) == checksum
        except ArtifactError:
            return False

    def has(self, name: str) -> bool:
        """Tell whether a result is stored, whole and undamaged."""
        return name in self._loaded or self._read(name) is not None

    def make(self, name: str, parts: Parts | None = None) -> Any:
        """Make a result, and store nothing but parts of it; with given parts, in their way."""
        stage = stage_of(name, self.study)
        if stage.stored:
            store.check()
            self.note()
        if stage.units is not None and parts is None:
            parts = self.parts(name)
        given = {argument: parts if isinstance(g, Work) else g.get(self) for argument, g in stage.given.items()}
        try:
            made = stage.function()(**stage.gather(given))
        except LabelError as error:
            raise LabelError(self._name_fields(str(error))) from None
        return made if parts is None else made.assign_attrs(parts.attributes)

    def parts(self, name: str) -> Parts:
        """Parts of a result, made here where they are missing (:mod:`emonb.run.parts`)."""
        return parts_of(self, name)

    def _name_fields(self, text: str) -> str:
        """A message about a file with the fields of the study that name it."""
        files = {f"{section}.{field}": name.removeprefix("local:")
                 for section in ("humans", "corpus") for field, name in getattr(self.study, section)
                 if isinstance(name, str)}  # fmt: skip
        fields = [field for field, name in files.items() if name in text]
        return f"{text} (the study names it as {', '.join(fields)})" if fields else text

    def store(self, name: str, made: Any) -> Any:
        """Write a result, remove its parts, and read it back."""
        made = made.assign_attrs(study=self.study.name, stage=name, key=self.key(name))
        dataset = artifacts.read(artifacts.write(made, self._file(name)))
        shutil.rmtree(self.work(name), ignore_errors=True)
        return dataset

    def work(self, name: str) -> Path:
        """Folder for the parts of a stage, which a second start resumes from; removed when the whole is stored."""
        return store.work(name, self.key(name))

    def note(self) -> None:
        """Say in the run folder, which may be read-only, what study refers to results in the store."""
        path = self.folder / NOTE
        if not path.is_file():
            with suppress(OSError):
                artifacts.write_text(self.study.model_dump_json(indent=1) + "\n", path)

    def making(self, name: str) -> AbstractContextManager[None]:
        """Lock of a result, held while the whole is made or joined."""
        return store.locked(f"{name}-{self.key(name)}")

    def recipe(self, name: str) -> dict[str, Any]:
        """Settings by which a result is made where it is computed live, those of what it needs included; no code."""
        stage = LIVE.get(name) or stage_of(name, self.study)
        keyed = {argument: given for argument, given in stage.given.items() if not isinstance(given, Unkeyed | Work)}
        return {a: self.recipe(g.name) if isinstance(g, Need) else g.key(self) for a, g in keyed.items()}

    def untrained(self, baseline: str = "untrained") -> "Run":
        """Return the same study on a network of the same shape with random weights (others, if they are random already).

        Parameters
        ----------
        baseline : str
            One of the study's ``baselines``.
        """
        if self.study.backbone is None:
            raise StudyError(f"'{self.study.name}' has no backbone, so there is none without training to compare with")
        seed = self.study.backbone.seed + int(self.study.backbone.untrained)
        recipes, folder = self.study.baselines, self.study.committed
        if baseline not in recipes:
            raise StudyError(f"'{self.study.name}' has no baseline '{baseline}'; known: {', '.join(recipes)}")
        changes: dict[str, Any] = {"backbone.untrained": True, "backbone.seed": seed, "untrained_baseline": False}
        changes |= {"committed": folder and f"{folder}/{baseline}", **recipes[baseline]}
        if "seeds" in changes:  # a baseline may have fewer, but none that a re-runner left out
            changes["seeds"] = [s for s in changes["seeds"] if s in self.study.seeds] or None
        other = Run(load_study(self.study, **changes), progress=self.progress)
        other.used = _Prefixed("untrained/" if baseline == "untrained" else f"untrained/{baseline}/", self.used)
        return other

    def fetch(self, names: list[str]) -> dict[str, Path]:
        """Local paths of files by the names the study gives them: upstream, planted or one's own."""
        upstream = weights.fetch([n for n in names if not planted.is_planted(n)], progress=self.progress)
        return upstream | {n: planted.plant(self.study, n, self.progress) for n in names if planted.is_planted(n)}

    def fingerprint(self, name: str) -> str:
        """Hash of a file's content, by the name the study gives it."""
        try:
            return planted.fingerprint(self.study, name) if planted.is_planted(name) else sources.fingerprint(name)
        except SourceError as error:
            raise SourceError(self._name_fields(str(error))) from None

    def backbone(self) -> BackboneConfig:
        """The backbone's settings, with its folder in place of the name of a network that is planted or fetched by hash."""
        settings = self.study.backbone
        assert settings is not None
        names = [settings.name] if planted.is_planted(settings.name) else weights.registry_files(settings)
        if not names:
            return settings
        path = self.fetch(names)[names[0]]
        return settings.model_copy(update={"name": str(path if path.is_dir() else path.parent), "revision": ""})

    def fingerprint_backbone(self) -> str:
        """Hash of the backbone's checkpoint and tokenizer."""
        settings = self.study.backbone
        assert settings is not None
        return self.fingerprint(settings.name) if planted.is_planted(settings.name) else weights.fingerprint(settings)

    def _file(self, name: str) -> Path:
        return store.result(name, self.key(name))

    def _read_or_make(self, name: str) -> Any:
        """Read a stored result; make it where it is missing or damaged, while other processes wait for it."""
        dataset = self._read(name)
        if dataset is None:
            with self.making(name):
                dataset = self._read(name)  # another process may have made it
                if dataset is None:
                    dataset = self.store(name, self.make(name))
        self.used[name] = dataset.attrs["checksum"]
        return dataset

    def _read(self, name: str) -> Any:
        try:
            return artifacts.read(self._file(name))
        except FileNotFoundError:
            return None
        except ArtifactError as error:
            log.warning("%s. It is made anew", error)
            return None

    def __repr__(self) -> str:
        return f"Run({self.name})"

    def _repr_html_(self) -> str:
        s = self.study
        rows = [
            ("study", f"<code>{s.name}</code>: {s.title}"),
            ("emotions, attributes", f"{len(s.emotions)}, {len(s.attributes)}"),
            ("seeds", ", ".join(map(str, s.seeds))),
            ("model", f"{s.layers} layer{'s' * (s.layers > 1)} × {s.neurons} FFN neurons"),
            ("distance, size N", f"{s.distance}, {s.size}"),
            ("made by", f"emonb {__version__}"),
        ]
        return write_table(("setting", "value"), rows, "What this page was run with.")


class _Prefixed(dict[str, str]):
    """Checksums of another run's artifacts, noted under a prefix among this one's."""

    def __init__(self, prefix: str, notes: dict[str, str]) -> None:
        self._prefix, self._notes = prefix, notes

    def __setitem__(self, name: str, checksum: str) -> None:
        self._notes[self._prefix + name] = checksum


def open_run(
    study: str | Study,
    chapter: str | None = None,
    progress: bool = True,
    overrides: Mapping[str, Any] | str | None = None,
    **parameters: Any,
) -> Run:
    """Open a study for a chapter or a script; parameters that are ``None`` keep the study's own value.

    Parameters
    ----------
    study : str or Study
        Name, YAML path, or a study.
    chapter : str, optional
        Chapter that records, and whose cells may begin with ``%%say`` (:mod:`emonb.book.saying`);
        none for a script.
    progress : bool
        Show progress bars.
    overrides : mapping or text of one, optional
        Further fields by dotted name, such as ``{"inference.permutations": 999}``.
    **parameters
        Fields by name.

    Raises
    ------
    StudyError
        Unknown study, unknown parameter (papermill's included) or wrong type.
    """
    if chapter is not None:
        check_injected()
    more = parse_text(overrides) if isinstance(overrides, str) else overrides
    if not isinstance(more, Mapping | None):
        raise StudyError(f"overrides must be a mapping such as {{inference.permutations: 999}}, got {overrides!r}")
    run = Run(load_study(study, **{**parameters, **(more or {})}), chapter, progress)
    if chapter is not None:
        saying.register(run.fill)
    return run
