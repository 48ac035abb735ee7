import hashlib
import http.server
import re
import threading
from pathlib import Path

import pytest

from emonb.data import sources
from emonb.errors import SourceError

FILES = {"a/one.txt": b"one", "a/two.txt": b"two" * 1000, "b/three.txt": b"three"}


@pytest.fixture
def registry(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A registry of three files, an empty cache, no mirror; returns the cache."""
    path = tmp_path / "registry.txt"
    path.write_text("# c\n" + "\n".join(f"{n} {hashlib.sha256(b).hexdigest()} {len(b)}" for n, b in FILES.items()))
    entries = sources.registry(path)
    monkeypatch.setattr(sources, "registry", lambda path=None: entries)
    monkeypatch.delenv("EMONB_MIRROR", raising=False)
    monkeypatch.setenv("EMONB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(sources, "BASE_URL", "http://127.0.0.1:9/")  # nobody answers there
    monkeypatch.setattr(sources, "RETRIES", 0)
    return tmp_path / "cache"


@pytest.fixture
def server(registry: Path, monkeypatch: pytest.MonkeyPatch):
    """A local upstream; ``requests`` lists what was asked, ``replies`` overrides contents.

    ``fail`` counts answers other than 200 to give, ``status`` says which, ``headers`` what else they say.
    """

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            name = self.path.lstrip("/")
            server.requests.append(name)
            if server.fail.get(name, 0) > 0:
                server.fail[name] -= 1
                self.send_response(server.status)
                for key, value in {"Content-Length": "0", **server.headers}.items():
                    self.send_header(key, value)
                self.end_headers()
                return
            body = server.replies[name] if name in server.replies else FILES[name]
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_HEAD = do_GET

        def log_message(self, *args: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.requests, server.replies, server.fail, server.status, server.headers = [], {}, {}, 500, {}
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setattr(sources, "BASE_URL", f"http://127.0.0.1:{server.server_port}/")
    yield server
    server.shutdown()
    server.server_close()


def _mirror(folder: Path, names: list[str]) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(FILES[name])
    return folder


def test_files_are_fetched_once_verified_and_kept(registry: Path, server) -> None:
    paths = sources.fetch(FILES, progress=False)
    assert {n: p.read_bytes() for n, p in paths.items()} == FILES
    assert all(p.is_relative_to(registry) for p in paths.values())
    sources.fetch(FILES, progress=False)
    assert sorted(server.requests) == sorted(FILES)
    assert not list(registry.rglob("*.part"))


def test_the_mirror_comes_first_and_the_rest_is_fetched(registry: Path, server, tmp_path: Path, monkeypatch) -> None:
    mirror = _mirror(tmp_path / "mirror", ["a/one.txt"])
    monkeypatch.setenv("EMONB_MIRROR", str(mirror))
    paths = sources.fetch(FILES, progress=False)
    assert paths["a/one.txt"] == mirror / "a/one.txt"
    assert sorted(server.requests) == ["a/two.txt", "b/three.txt"]


def test_a_failing_server_is_tried_again(registry: Path, server, monkeypatch) -> None:
    monkeypatch.setattr(sources, "RETRIES", 2)
    monkeypatch.setattr("pooch.core.time.sleep", lambda seconds: None)
    server.fail["a/one.txt"] = 2
    sources.fetch(["a/one.txt"], progress=False)
    assert server.requests == ["a/one.txt"] * 3


@pytest.mark.parametrize(
    ("status", "words", "tries"),
    [
        (500, r"answers 500 Internal Server Error .*\. Try again later", 3),
        (404, r"answers 404 Not Found .*\. Correct the address", 1),
        (403, r"answers 403 Forbidden .*\. Ask who runs this network", 1),
    ],
)
def test_an_answer_that_is_an_error_is_told_by_its_own_cause(registry, server, monkeypatch, status, words, tries) -> None:
    monkeypatch.setattr(sources, "RETRIES", 2)
    monkeypatch.setattr("pooch.core.time.sleep", lambda seconds: None)
    server.fail["a/one.txt"], server.status = 9, status
    with pytest.raises(SourceError) as error:
        sources.fetch(["a/one.txt"], progress=False)
    assert re.search(words, str(error.value)) and "a/one.txt" in str(error.value)
    assert "does not answer" not in str(error.value)
    assert len(server.requests) == tries


@pytest.mark.parametrize("status", sources.BUSY)
@pytest.mark.parametrize(("asked", "waits"), [({"Retry-After": "7"}, [7.0, 7.0]), ({}, [5.0, 5.0])])
def test_a_busy_server_is_waited_for_as_long_as_it_asks(registry, server, monkeypatch, status, asked, waits) -> None:
    waited: list[float] = []
    monkeypatch.setattr(sources.time, "sleep", waited.append)
    server.fail["a/one.txt"], server.status, server.headers = 3, status, asked
    assert sources.available(["a/one.txt"]) == ""
    assert sources.fetch(["a/one.txt"], progress=False)["a/one.txt"].read_bytes() == b"one"
    assert waited == waits


@pytest.mark.parametrize(("asked", "tries"), [("3600", 1), ("50", 3)])
def test_a_busy_server_is_not_waited_for_without_end(registry, server, monkeypatch, asked, tries) -> None:
    waited: list[float] = []
    monkeypatch.setattr(sources.time, "sleep", waited.append)
    server.fail["a/one.txt"], server.status, server.headers = 99, 429, {"Retry-After": asked}
    with pytest.raises(SourceError, match=f"answers 429 .* Try again in {int(asked):,} seconds"):
        sources.fetch(["a/one.txt"], progress=False)
    assert len(server.requests) == tries and sum(waited) <= sources.PATIENCE


def test_redirects_in_a_circle_and_pages_in_place_of_a_file_are_named(registry: Path, server) -> None:
    address = f"http://127.0.0.1:{server.server_port}"
    server.fail["a/one.txt"], server.status, server.headers = 99, 302, {"Location": f"{address}/a/one.txt"}
    with pytest.raises(SourceError, match=r"a/one\.txt redirects in a circle\. Ask who runs this network"):
        sources.fetch(["a/one.txt"], progress=False)
    server.headers = {"Location": f"{address}/login"}
    server.replies["login"] = b"\n<!DOCTYPE html><title>Log in</title>"
    with pytest.raises(
        SourceError, match=rf"a/one\.txt gives a web page in place of a file \(it came from {address}/login"
    ):
        sources.fetch(["a/one.txt"], progress=False)
    assert not [path for path in registry.rglob("*") if path.is_file()]


def test_an_interrupted_fetch_goes_on_where_it_stopped(registry: Path, server, monkeypatch) -> None:
    monkeypatch.setattr(sources, "WORKERS", 1)
    server.fail["b/three.txt"] = 99
    with pytest.raises(SourceError):
        sources.fetch(FILES, progress=False)
    server.fail.clear()
    before = len(server.requests)
    sources.fetch(FILES, progress=False)
    assert server.requests[before:] == ["b/three.txt"]


def test_no_network_and_no_mirror_says_which_files_how_much_and_what_to_do(registry: Path) -> None:
    with pytest.raises(SourceError) as error:
        sources.fetch(FILES, progress=False)
    for words in ("3 upstream files", "MB)", "a/one.txt", "and 1 more", "EMONB_MIRROR=DIR", "no mirror was given"):
        assert words in str(error.value)


def test_a_file_missing_in_the_mirror_is_named(registry: Path, tmp_path: Path, monkeypatch) -> None:
    mirror = _mirror(tmp_path / "mirror", ["a/one.txt", "a/two.txt"])
    monkeypatch.setenv("EMONB_MIRROR", str(mirror))
    with pytest.raises(SourceError) as error:
        sources.fetch(FILES, progress=False)
    assert "b/three.txt" in str(error.value)
    assert f"the mirror {mirror} has no such file" in str(error.value)


def test_a_wrong_download_is_removed_and_both_hashes_are_said(registry: Path, server) -> None:
    server.replies["a/one.txt"] = b"eno"
    with pytest.raises(SourceError) as error:
        sources.fetch(["a/one.txt"], progress=False)
    for body in (b"one", b"eno"):
        assert hashlib.sha256(body).hexdigest() in str(error.value)
    assert "file removed" in str(error.value)
    assert not [p for p in registry.rglob("*") if p.is_file()]


def test_a_truncated_download_has_its_own_words(registry: Path, server) -> None:
    server.replies["a/two.txt"] = FILES["a/two.txt"][:50]
    with pytest.raises(SourceError, match="truncated: expected 3000 bytes, got 50; file removed"):
        sources.fetch(["a/two.txt"], progress=False)


def test_a_damaged_cached_file_is_replaced_and_that_is_said(registry: Path, server, caplog) -> None:
    path = sources.fetch(["a/one.txt"], progress=False)["a/one.txt"]
    path.write_bytes(b"xxx")
    sources.fetch(["a/one.txt"], progress=False)
    assert path.read_bytes() == b"one"
    assert "wrong content" in caplog.text and "fetching it again" in caplog.text


def test_a_bad_mirror_file_is_refused_and_left_alone(registry: Path, tmp_path: Path, monkeypatch) -> None:
    mirror = _mirror(tmp_path / "mirror", ["a/one.txt"])
    monkeypatch.setenv("EMONB_MIRROR", str(mirror))
    (mirror / "a/one.txt").write_bytes(b"bad")
    with pytest.raises(SourceError, match="left as it is"):
        sources.fetch(["a/one.txt"], progress=False)
    assert (mirror / "a/one.txt").read_bytes() == b"bad"


def test_unknown_names_and_a_mirror_that_is_no_folder(registry: Path, tmp_path: Path, monkeypatch) -> None:
    with pytest.raises(SourceError, match="lists no file 'nope'"):
        sources.fetch(["nope"], progress=False)
    monkeypatch.setenv("EMONB_MIRROR", str(tmp_path / "nowhere"))
    with pytest.raises(SourceError, match="is not a folder"):
        sources.fetch(["a/one.txt"], progress=False)


def test_available_needs_no_network_when_the_mirror_is_complete(registry: Path, tmp_path: Path, monkeypatch) -> None:
    assert "3 upstream files" in sources.available(FILES)
    monkeypatch.setenv("EMONB_MIRROR", str(_mirror(tmp_path / "mirror", list(FILES))))
    assert sources.available(FILES) == ""


@pytest.mark.parametrize("line", ["a/one.txt abc 3", f"a/one.txt {'0' * 64}", f"a/one.txt {'0' * 64} three", "one line"])
def test_a_bad_line_of_the_registry_is_named(tmp_path: Path, line: str) -> None:
    path = tmp_path / "registry.txt"
    path.write_text(f"# URL path, sha256, bytes\n\n{line}\n")
    with pytest.raises(SourceError, match=r"registry\.txt, line 3: expected a URL path") as error:
        sources.registry(path)
    assert line in str(error.value)
