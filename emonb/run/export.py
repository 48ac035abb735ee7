"""A study as a research object that a repository takes (RO-Crate 1.1), and results pulled from one instead of computed.

The crate holds the executed chapters, the ledger, the study, the versions of all packages, and the results that were
computed here, by key and hash. What others released is not in it: who re-runs the study fetches it where they put it.
"""

import io
import json
import os
import platform
import re
import shutil
import tempfile
import zipfile
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from requests.exceptions import RequestException

from emonb import __version__, artifacts
from emonb.data import sources
from emonb.errors import ArtifactError, StudyError, UnreachableError
from emonb.paths import book_dir
from emonb.run.stages import stage_files, stage_of, stages_of

if TYPE_CHECKING:
    from emonb.run.runs import Run

KEYS = "keys.json"
SMALL = 50_000_000
"""Bytes of the largest result that a crate takes."""
_ARCHIVES = (".tar", ".gz", ".tgz", ".bz2", ".xz", ".zst", ".7z", ".rar")
_LICENCES = ["https://spdx.org/licenses/BSD-3-Clause", "https://creativecommons.org/licenses/by/4.0/"]


def export_study(run: "Run", out: Path | None = None, given: str = "") -> Path:
    """Write a study's edition as a research object; nothing is computed.

    ``out`` is a folder, which must not be there yet, or a ``.zip``; default is ``crate`` in the run directory, written
    anew. ``given`` is how the study is called on the command line. A StudyError where it was not run, or ``out`` is there
    or is another archive or an address.
    """
    from rocrate.rocrate import ROCrate

    edition = next((f for f in (run.folder / "book", book_dir() / run.name) if (f / "claims.json").is_file()), None)
    if edition is None:
        raise StudyError(f"'{run.name}' has no executed chapters to export; first: emonb run {given or run.study.name}")
    out = out and out.expanduser()
    if out is not None and (out.suffix.lower() in _ARCHIVES or re.match(r"\w\w+:/", str(out))):  # Path makes one / of two
        raise StudyError(f"{out} cannot be written: --out is a new folder, or a file that ends in .zip")
    if out is not None and out.exists():
        raise StudyError(f"{out} is there already; give another name")
    ledger = json.loads((edition / "claims.json").read_text(encoding="utf-8"))
    crate = ROCrate(version="1.1")
    crate.name, crate.description = f"{run.study.title} ({run.name})", run.study.description
    crate.license = _LICENCES
    crate.root_dataset["softwareVersion"] = f"emonb {__version__}"
    crate.root_dataset["conformsTo"] = {"@id": "https://w3id.org/ro/crate/1.1"}
    with tempfile.TemporaryDirectory() as scratch:
        for path in sorted(edition.glob("*.ipynb")):
            crate.add_file(path, f"chapters/{path.name}", properties={"encodingFormat": "application/x-ipynb+json"})
        crate.add_file(
            edition / "claims.json", "claims.json", properties={"name": "Quantities and verdicts of every claim"}
        )
        kept = {name: run._file(name) for name in stages_of(run.study) if _is_ours(run, name)}
        keys = {}
        for name, path in kept.items():
            digest, key = artifacts.file_digest(path), run.key(name)
            about = {"name": name, "identifier": key, "sha256": digest, "encodingFormat": "application/netcdf"}
            crate.add_file(path, f"results/{path.name}", properties=about)
            keys[name] = {"key": key, "sha256": digest, "file": f"results/{path.name}"}
        packages = sorted({f"{d.metadata['Name']}=={d.version}" for d in metadata.distributions()}, key=str.lower)
        texts = {
            KEYS: json.dumps({"study": run.name, "results": keys}, indent=1),
            "study.json": json.dumps(run.study.model_dump(mode="json"), indent=1),
            "environment.txt": "\n".join([f"# Python {platform.python_version()}, {platform.platform()}", *packages]),
        }
        for name, text in texts.items():
            crate.add_file(artifacts.write_text(text + "\n", Path(scratch) / name), name)
        crate.root_dataset["keywords"] = ", ".join(sorted(ledger["claims"]))
        target = out or run.folder / "crate"
        if out is None:
            shutil.rmtree(target, ignore_errors=True)
        target.parent.mkdir(parents=True, exist_ok=True)
        write = crate.write_zip if target.suffix.lower() == ".zip" else crate.write
        write(target)
    return target


def pull(run: "Run", name: str, source: str) -> Path:
    """Take a result from a crate where its key is the one that would be computed here; return its path.

    ``source`` is what :func:`export_study` wrote: a folder or a ``.zip``, or the address of either.

    Raises
    ------
    ArtifactError
        There is no crate, it has no such result, has it of another study, code or data, or its content is not what it says.
    UnreachableError
        An address that does not answer, or answers with an error.
    """
    read = _open_crate(source)
    try:
        keys = json.loads(read(KEYS).decode())["results"]
        whole = all(isinstance(entry[field], str) for entry in keys.values() for field in ("key", "file", "sha256"))
    except (ValueError, LookupError, TypeError, AttributeError):
        whole = False
    if not whole:
        raise ArtifactError(f"{source} is no research object that emonb export wrote: its {KEYS} has no results")
    if name not in keys:
        raise ArtifactError(f"{source} has no {name}; it has {', '.join(keys) or 'no results'}")
    entry: dict[str, Any] = keys[name]
    if entry["key"] != run.key(name):
        raise ArtifactError(
            f"{name} of {source} has key {entry['key']}, this study with this code and data has {run.key(name)}: it is "
            "another result. Compute it, or install the version that made it"
        )
    if stage_of(name, run.study).stored and not run.has(name):
        with artifacts.replacing(run._file(name)) as part:
            part.write_bytes(read(entry["file"]))
            if artifacts.file_digest(part) != entry["sha256"]:
                raise ArtifactError(f"{source}/{entry['file']} is not what its {KEYS} says: sha256 differs")
    return run.path(name)


def _open_crate(source: str) -> Callable[[str], bytes]:
    """How the files of a crate are read, by their names in it."""
    folder = Path(source).expanduser()
    remote = source.lower().startswith(("https://", "http://"))
    if "://" in source and not remote:
        raise ArtifactError(f"{source}: {source.partition(':')[0]}:// is not fetched; give an https address or a path")
    if not source.strip() or not (remote or folder.exists()):
        raise ArtifactError(
            f"{source or 'what --from names'} is not there; give a folder, a .zip or an address of what emonb export wrote"
        )
    packed = bool(re.search(r"\.zip(/content)?$", urlsplit(source).path)) if remote else zipfile.is_zipfile(folder)
    archive = io.BytesIO(_download(source)) if remote and packed else folder  # so end addresses of archives, Zenodo's too

    def read(name: str) -> bytes:
        if remote and not packed:
            return _download(f"{source.rstrip('/')}/{name}")
        if os.path.relpath((folder / name).resolve(), folder.resolve()).startswith(os.pardir):
            raise ArtifactError(f"{name} is not in {source}")
        try:
            return zipfile.ZipFile(archive).read(name) if packed else (folder / name).read_bytes()
        except (OSError, LookupError, zipfile.BadZipFile):
            raise ArtifactError(
                f"{source} is no research object that emonb export wrote, or not whole: no {name}"
            ) from None

    return read


def _download(url: str) -> bytes:
    with tempfile.TemporaryDirectory() as scratch:
        try:
            sources.download(url, Path(scratch) / "file")
        except RequestException as error:
            raise UnreachableError(f"{url} cannot be had: {sources.explain(error)}") from None
        return (Path(scratch) / "file").read_bytes()


def _is_ours(run: "Run", name: str) -> bool:
    """Whether a result is there, is small, and repeats nothing that others released."""
    stage = stage_of(name, run.study)
    others = [n for n in stage_files(stage, run.study) if not n.startswith(("planted:", "committed:"))]
    judged = name == "rdms" and run.study.world is None  # holds the judges' mean judgments
    if others or judged or not stage.stored or not run.has(name):
        return False
    return run._file(name).stat().st_size <= SMALL
