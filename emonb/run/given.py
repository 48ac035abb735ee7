"""A stage: the function that makes a result, and where each of the function's arguments comes from.

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
from emonb.study import Study

if TYPE_CHECKING:
    from emonb.run.runs import Run


class Field(NamedTuple):
    """A field (or property) of the study, by its dotted name."""

    name: str

    def get(self, run: "Run") -> Any:
        """Value as the study has it."""
        return attrgetter(self.name)(run.study)

    def key(self, run: "Run") -> Any:
        """The value, as JSON has it."""
        value = self.get(run)
        return value.model_dump(mode="json") if isinstance(value, BaseModel) else value


class Need(NamedTuple):
    """The result of another stage."""

    name: str

    def get(self, run: "Run") -> Any:
        """The result, made first if it is missing."""
        return run.load(self.name)

    def key(self, run: "Run") -> str:
        """The result's own key."""
        return run.key(self.name)


class Part(NamedTuple):
    """A variable of another stage's result, at some of its labels."""

    name: str
    variable: str
    labels: Mapping[str, Any]

    def get(self, run: "Run") -> Any:
        """The variable; its result is made first if it is missing."""
        return run.load(self.name)[self.variable].sel(self.labels)

    def key(self, run: "Run") -> Any:
        """The result's own key, and the labels."""
        return [run.key(self.name), self.variable, dict(self.labels)]


class Files(NamedTuple):
    """Files the study names, by any label: fetched, planted or the re-runner's own."""

    names: Callable[[Study], Mapping[Any, str]]

    def get(self, run: "Run") -> dict[Any, Any]:
        """Local path of each."""
        names = self.names(run.study)
        paths = run.fetch(list(names.values()))
        return {label: paths[name] for label, name in names.items()}

    def key(self, run: "Run") -> dict[str, str]:
        """Hash of each one's content."""
        return {str(label): run.fingerprint(name) for label, name in self.names(run.study).items()}


class File(NamedTuple):
    """One file the study names."""

    name: Callable[[Study], str]

    def get(self, run: "Run") -> Any:
        """Its local path."""
        return run.fetch([self.name(run.study)])[self.name(run.study)]

    def key(self, run: "Run") -> str:
        """Hash of its content."""
        return run.fingerprint(self.name(run.study))


class Weights(NamedTuple):
    """The backbone's settings, with its folder in place of the name of a network that is planted or fetched by hash."""

    def get(self, run: "Run") -> Any:
        """Settings whose ``name`` can be loaded."""
        return run.backbone()

    def key(self, run: "Run") -> dict[str, Any]:
        """Settings, and a hash of the checkpoint's content in place of where it lies."""
        assert run.study.backbone is not None  # the study's validation requires it for computed stages
        settings = run.study.backbone.model_dump(mode="json", exclude={"name", "revision"})
        return {**settings, "content": run.fingerprint_backbone()}


class Recipe(NamedTuple):
    """The settings by which a stage is computed live, those of what it needs included: what made a committed result."""

    stage: str

    def get(self, run: "Run") -> dict[str, Any]:
        """Settings by argument of the stage, without its code."""
        return run.recipe(self.stage)

    def key(self, run: "Run") -> dict[str, Any]:
        """The same."""
        return run.recipe(self.stage)


class Unkeyed(NamedTuple):
    """How the work is done, which is in no key: the same result up to rounding, however it is done."""

    name: str

    def get(self, run: "Run") -> Any:
        """``device``, ``threads`` of the study, or ``progress`` of the run."""
        return run.progress if self.name == "progress" else getattr(run.study, self.name)


class Work(NamedTuple):
    """Where the units of a stage are made and kept (:mod:`emonb.run.parts`); in no key, for its folder's name holds one."""

    stage: str

    def get(self, run: "Run") -> Any:
        """Parts that are made here where they are missing."""
        from emonb.run.parts import parts_of

        return parts_of(run, self.stage)


Given = Field | Need | Part | Files | File | Weights | Recipe | Unkeyed | Work


@dataclass(frozen=True)
class Stage:
    """One stage: the function that makes its result (``folder.module.function``), and the function's arguments.

    ``units`` names the parts it can be made in, without loading anything.
    """

    make: str
    given: Mapping[str, Given]
    stored: bool = True
    units: Callable[[Study], list[str]] | None = None

    @property
    def module(self) -> str:
        """Full name of the module in which the function lives, whose code is in the key."""
        return f"emonb.{self.make.rpartition('.')[0]}"

    def function(self) -> Callable[..., Any]:
        """Import the function."""
        found: Callable[..., Any] = getattr(import_module(self.module), self.make.rpartition(".")[2])
        return found

    def key(self, run: "Run") -> str:
        """Hash of all that makes the result: arguments and code."""
        keyed = {name: given.key(run) for name, given in self.given.items() if not isinstance(given, Unkeyed | Work)}
        return artifacts.make_key(make=self.make, code=artifacts.code_digest(self.module), given=keyed)
