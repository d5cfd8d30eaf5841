import gzip
import hashlib
import re
import socket
import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from disentmetrics.datasets import load_dataset
from disentmetrics.datasets.catalog import smallnorb
from disentmetrics.datasets.published.fetch import fetch
from disentmetrics.datasets.published.manifest import Manifest, ManifestFile, read_manifest
from disentmetrics.errors import DownloadError, StorageError
from disentmetrics.factors import Factor, FactorSpace

CONTENT = np.random.default_rng(0).bytes(300_000)
ALTERED = CONTENT[:-1] + b"?"


class Server:
    """Serves CONTENT, and misbehaves as specified: one word per request, the last one for all further requests."""

    def __init__(self) -> None:
        self.behaviours = ["whole"]
        self.contents: dict[str, bytes] = {}  # of other files, by path
        self.requests: list[str] = []
        self.released = threading.Event()
        self.http = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        threading.Thread(target=self.http.serve_forever, kwargs={"poll_interval": 0.01}).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.http.server_port}/größe.npz"

    def close(self) -> None:
        self.released.set()
        self.http.shutdown()
        self.http.server_close()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        server = self

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *_: object) -> None:
                pass

            def do_GET(self) -> None:
                requested_range = self.headers.get("Range", "")
                behaviour = server.behaviours[min(len(server.requests), len(server.behaviours) - 1)]
                server.requests.append(requested_range)
                if behaviour.isdigit():
                    self.send_error(int(behaviour))
                    return
                if behaviour == "slow":
                    server.released.wait(2)
                    return
                start = int(requested_range[len("bytes=") : -1] or 0) if behaviour != "ignores range" else 0
                content = server.contents.get(self.path, ALTERED if behaviour == "altered" else CONTENT)
                if start >= len(content):
                    self.send_response(416)
                    self.send_header("Content-Range", f"bytes */{len(content)}")
                    self.send_header("Content-Length", "0")
                    self.end_headers()
                    return
                self.send_response(206 if start else 200)
                if start:
                    self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
                if behaviour == "length malformed":
                    self.send_header("Content-Length", "many")
                elif behaviour != "length unknown":
                    self.send_header("Content-Length", str(len(content) - start))
                self.end_headers()
                breaks_off = behaviour in {"breaks off", "length unknown"}
                self.wfile.write(content[start : start + 65_536] if breaks_off else content[start:])

        return Handler


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    yield server
    server.close()


def file_at(*urls: str) -> ManifestFile:
    return ManifestFile(
        name="größe.npz",
        layout="npz",
        images="imgs",
        labels="",
        label_columns=(),
        urls=urls,
        n_bytes=None,
        checksums={"sha256": hashlib.sha256(CONTENT).hexdigest(), "md5": hashlib.md5(CONTENT).hexdigest()},
    )


def get(*urls: str) -> Path:
    return fetch(file_at(*urls), timeout=0.3, pauses=(0.0, 0.0))


def assert_only_the_whole_file_is_there(cache: Path) -> None:
    (path,) = (path for path in cache.rglob("*") if path.is_file() and path.suffix not in {".lock", ".TAG"})
    assert path.read_bytes() == CONTENT


def assert_no_file_is_there(cache: Path) -> None:
    assert not [path for path in cache.rglob("*") if path.is_file() and path.suffix not in {".lock", ".TAG"}]


def test_a_complete_file_is_downloaded_once(server: Server, cache: Path) -> None:
    assert get(server.url).read_bytes() == CONTENT
    assert get(server.url).read_bytes() == CONTENT
    assert server.requests == [""]
    assert_only_the_whole_file_is_there(cache)


def test_files_of_one_name_do_not_replace_each_other(server: Server) -> None:
    server.contents["/other"] = ALTERED
    other = replace(
        file_at(server.url.rpartition("/")[0] + "/other"), checksums={"md5": hashlib.md5(ALTERED).hexdigest()}
    )
    for _ in range(2):
        assert fetch(file_at(server.url), folder="one").read_bytes() == CONTENT
        assert fetch(other, folder="two").read_bytes() == ALTERED
    assert len(server.requests) == 2


def test_a_download_that_breaks_off_goes_on(server: Server, cache: Path) -> None:
    server.behaviours = ["breaks off", "breaks off", "whole"]
    assert get(server.url).read_bytes() == CONTENT
    assert server.requests == ["", "bytes=65536-", "bytes=131072-"]
    assert_only_the_whole_file_is_there(cache)


def test_a_later_run_goes_on_where_an_earlier_one_gave_up(server: Server, cache: Path) -> None:
    server.behaviours = ["breaks off", "503", "503", "whole"]
    with pytest.raises(DownloadError, match="503 Service Unavailable"):
        get(server.url)
    assert get(server.url).read_bytes() == CONTENT
    assert server.requests[-1] == "bytes=65536-"
    assert_only_the_whole_file_is_there(cache)


def test_a_server_that_ignores_the_range_is_read_from_the_start(server: Server, cache: Path) -> None:
    server.behaviours = ["breaks off", "ignores range"]
    assert get(server.url).read_bytes() == CONTENT
    assert len(server.requests) == 2
    assert_only_the_whole_file_is_there(cache)


def test_the_beginning_of_another_version_is_discarded(server: Server, cache: Path) -> None:
    folder = cache / "datasets" / "original"
    folder.mkdir(parents=True)
    (folder / "größe.npz.partial").write_bytes(b"?" * 1000)
    assert get(server.url).read_bytes() == CONTENT
    assert server.requests == ["bytes=1000-", ""]
    assert_only_the_whole_file_is_there(cache)


@pytest.mark.parametrize(("beginning", "n_requests"), [(CONTENT, 1), (CONTENT + b"more", 2)])
def test_a_beginning_that_is_already_the_end(beginning: bytes, n_requests: int, server: Server, cache: Path) -> None:
    folder = cache / "datasets" / "original"
    folder.mkdir(parents=True)
    (folder / "größe.npz.partial").write_bytes(beginning)
    assert get(server.url).read_bytes() == CONTENT
    assert len(server.requests) == n_requests
    assert_only_the_whole_file_is_there(cache)


def test_a_damaged_file_in_the_cache_is_downloaded_again(server: Server, cache: Path) -> None:
    get(server.url).write_bytes(ALTERED)
    assert get(server.url).read_bytes() == CONTENT
    assert_only_the_whole_file_is_there(cache)


def test_the_error_for_an_altered_file_contains_both_checksums(server: Server, cache: Path) -> None:
    server.behaviours = ["altered"]
    found, expected = (hashlib.sha256(content).hexdigest() for content in (ALTERED, CONTENT))
    with pytest.raises(DownloadError, match=f"sha256 {found} found, {expected} expected.*deleted") as refusal:
        get(server.url)
    assert server.url in str(refusal.value)
    assert_no_file_is_there(cache)


def test_a_silently_truncated_download_is_rejected(server: Server, cache: Path) -> None:
    server.behaviours = ["length unknown"]
    with pytest.raises(DownloadError, match=r"sha256 .* found"):
        get(server.url)
    assert_no_file_is_there(cache)


def test_a_download_ends_at_the_published_size(server: Server, cache: Path) -> None:
    with pytest.raises(DownloadError, match="more than the 100,000 bytes"):
        fetch(replace(file_at(server.url), n_bytes=100_000), timeout=0.3, pauses=())
    assert_no_file_is_there(cache)
    assert fetch(replace(file_at(server.url), n_bytes=len(CONTENT)), timeout=0.3, pauses=()).read_bytes() == CONTENT


def test_a_malformed_length_is_ignored(server: Server) -> None:
    server.behaviours = ["length malformed"]
    assert get(server.url).read_bytes() == CONTENT


def test_a_missing_remote_file_is_not_requested_again(server: Server, cache: Path) -> None:
    server.behaviours = ["404"]
    with pytest.raises(DownloadError, match=r"404 Not Found at http.*by other means and give its path"):
        get(server.url)
    assert server.requests == [""]
    assert_no_file_is_there(cache)


def test_a_server_in_trouble_is_asked_again(server: Server) -> None:
    server.behaviours = ["500", "503", "whole"]
    assert get(server.url).read_bytes() == CONTENT


def test_a_silent_server_is_given_up(server: Server, cache: Path) -> None:
    server.behaviours = ["slow"]
    with pytest.raises(DownloadError, match=re.escape("no data received for 0.3 s")):
        get(server.url)
    assert len(server.requests) == 3
    assert_no_file_is_there(cache)


def test_no_server_is_a_download_error() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with pytest.raises(DownloadError, match="the connection failed"):
        get(f"http://127.0.0.1:{port}/größe.npz")


def test_the_second_address_serves_if_the_first_does_not(server: Server) -> None:
    server.behaviours = ["404", "altered", "whole"]
    assert get(server.url, server.url, server.url).read_bytes() == CONTENT


def test_every_failure_is_reported(server: Server) -> None:
    server.behaviours = ["404", "altered"]
    with pytest.raises(DownloadError, match=r"404 Not Found at .*; sha256 .* found"):
        get(server.url, server.url)


def test_files_without_a_checksum_are_not_downloaded(server: Server) -> None:
    unknown = replace(file_at(server.url), checksums={})
    with pytest.raises(DownloadError, match=r"no published checksum of .* is known.*verify=false"):
        fetch(unknown)
    assert server.requests == []


def test_an_unwritable_cache_is_reported(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("DISENTMETRICS_CACHE", str(tmp_path / "file" / "cache"))
    with pytest.raises(StorageError, match="DISENTMETRICS_CACHE"):
        get(server.url)
    assert server.requests == []


def test_a_full_disk_is_no_failure_of_the_server(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("disentmetrics.datasets.published.fetch.ResumingDownloader._append", full)
    with pytest.raises(StorageError, match="No space left on device"):
        get(server.url)


TOYS = np.random.default_rng(1).integers(0, 256, (5, 2, 1, 1, 2, 2, 150, 150), dtype=np.uint8)


def norb(array: NDArray[Any], magic: int) -> bytes:
    head = np.array([magic, array.ndim, *array.shape, *[1] * (3 - array.ndim)], "<i4")
    return gzip.compress(head.tobytes() + array.tobytes(), mtime=0)


def files_of_smallnorb(server: Server) -> Manifest:
    """Serve six files of one toy in five categories for each split, and publish them."""
    whole = read_manifest("smallnorb")
    sizes = {"category": 5, "instance": 2, "elevation": 1, "azimuth": 1, "lighting": 2}
    space = FactorSpace([Factor(f.name, sizes[f.name], f.kind, f.values[: sizes[f.name]]) for f in whole.space])
    category, lighting = (axis.ravel() for axis in np.meshgrid(range(5), range(2), indexing="ij"))
    files = []
    for file in whole.files:
        stem, kind = file.part.split("-")
        instance = np.full(10, int(stem == "training"))
        labels = np.stack([instance, 0 * instance, 0 * instance, lighting], axis=1)
        arrays = {"dat": TOYS[category, instance, 0, 0, lighting], "cat": category, "info": labels}
        is_labels = kind != "dat"
        content = norb(arrays[kind].astype("<i4") if is_labels else arrays[kind], 0x1E3D4C55 - is_labels)
        server.contents[f"/{file.name}"] = content
        url = f"{server.url.rpartition('/')[0]}/{file.name}"
        checksums = {"sha256": hashlib.sha256(content).hexdigest()}
        files.append(replace(file, urls=(url,), n_bytes=len(content), checksums=checksums, content_sha256=""))
    return replace(whole, space=space, shape=(150, 150, 1), files=tuple(files))


def test_a_set_of_several_files_is_fetched_and_goes_on(
    server: Server, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    manifest = files_of_smallnorb(server)
    monkeypatch.setattr(smallnorb, "read_manifest", lambda _: manifest)
    server.behaviours = ["breaks off", "404"]
    with pytest.raises(DownloadError, match=r"training-dat.mat.gz could not be downloaded: .*404 Not Found"):
        load_dataset("smallnorb")
    server.requests.clear()
    server.behaviours = ["whole"]
    data = load_dataset("smallnorb")
    assert server.requests == ["bytes=65536-", "", "", "", "", ""]
    assert data.fingerprint == "smallnorb-original-norb"
    indices = data.full_grid().factors
    assert np.array_equal(data.observations(indices)[..., 0], TOYS[(*indices.T, 0)])
    fetched = {
        path.name for path in (cache / "datasets" / "original" / "smallnorb").iterdir() if path.suffix != ".lock"
    }
    assert fetched == {file.name for file in manifest.files}
    assert load_dataset("smallnorb?split=test").fingerprint == "smallnorb-original-norb-test"
    assert len(server.requests) == 6


def test_one_altered_file_of_several_is_rejected(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    manifest = files_of_smallnorb(server)
    monkeypatch.setattr(smallnorb, "read_manifest", lambda _: manifest)
    name = manifest.files[4].name
    server.contents[f"/{name}"] = norb(np.zeros(10, "<i4"), 0x1E3D4C54)
    with pytest.raises(DownloadError, match=f"{name} could not be downloaded: .* found, .* expected"):
        load_dataset("smallnorb")


def test_another_container_of_the_right_content_is_downloaded(server: Server) -> None:
    content = b"what it holds" * 99
    server.contents["/größe.npz"] = server.contents["/gr%C3%B6%C3%9Fe.npz"] = gzip.compress(content, 1)
    file = replace(file_at(server.url), content_sha256=hashlib.sha256(content).hexdigest())
    assert gzip.decompress(fetch(file, pauses=()).read_bytes()) == content
    with pytest.raises(DownloadError, match="unpacked sha256"):
        fetch(replace(file, name="other", content_sha256="0" * 64), pauses=())
