"""Checkpoints of the frozen model: where one lies, and a hash of what is in it, without loading it."""

import re
from functools import cache
from pathlib import Path

from emonb.artifacts import file_digest, make_key
from emonb.data import sources
from emonb.errors import StudyError
from emonb.settings import BackboneConfig


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
        return folder
    if name != backbone.name or not re.fullmatch(r"[\w.-]+(/[\w.-]+)?", name) or name.startswith("."):
        raise StudyError(f"the backbone's folder {folder} does not exist; correct backbone.name (a folder, or owner/name)")
    return None


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
            f"the commit of '{backbone.name}' ({revision}) is not in the hub's cache, and the hub does not tell it "
            f"({str(error).splitlines()[0]}); give backbone.revision=COMMIT (40 hex digits), or backbone.name=FOLDER"
        ) from None
    return str(found)


@cache
def _digest(path: Path, modified: int, size: int) -> str:
    """sha256 of a file, once for as long as its time of change and size stay."""
    return file_digest(path)
