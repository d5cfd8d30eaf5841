"""Files in archives and folders, read one by one."""

import io
import pickle
import tarfile
import zipfile
from pathlib import Path

import pytest

from disentmetrics.datasets.published import archives
from disentmetrics.datasets.published.archives import ArchivedFiles
from disentmetrics.errors import CorruptFileError, InvalidInputError

CONTENT = {"a/1.txt": b"one", "a/b/2.txt": b"two" * 1000, "3.txt": b""}


def make(folder: Path, kind: str) -> Path:
    if kind == "folder":
        for name, content in CONTENT.items():
            path = folder / "files" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        return folder / "files"
    path = folder / f"files.{kind}"
    if kind == "zip":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, content in CONTENT.items():
                archive.writestr(name, content)
    else:
        with tarfile.open(path, "w") as tar:
            for name, content in CONTENT.items():
                member = tarfile.TarInfo(name)
                member.size = len(content)
                tar.addfile(member, io.BytesIO(content))
    return path


@pytest.mark.parametrize("kind", ["folder", "zip", "tar"])
def test_all_contain_the_same_files(tmp_path: Path, kind: str) -> None:
    files = ArchivedFiles(make(tmp_path, kind))
    again = pickle.loads(pickle.dumps(files))
    assert files.names == again.names == tuple(sorted(CONTENT))
    for name, content in CONTENT.items():
        assert files.read(name) == again.read(name) == content


@pytest.mark.parametrize("kind", ["folder", "zip", "tar"])
def test_very_large_files_are_not_read(tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    files = ArchivedFiles(make(tmp_path, kind))
    monkeypatch.setattr(archives, "_MAX_FILE_BYTES", 100)
    with pytest.raises(CorruptFileError, match="a/b/2.txt in .* must have 3,000 bytes; 100 were read"):
        files.read("a/b/2.txt")


@pytest.mark.parametrize("kind", ["zip", "tar"])
def test_truncated_archives_are_rejected(tmp_path: Path, kind: str) -> None:
    path = make(tmp_path, kind)
    whole = path.read_bytes()
    end = len(whole.rstrip(b"\0")) if kind == "tar" else len(whole)
    for n in (0, 10, 600, end // 2, end - 1):
        if n < end:
            path.write_bytes(whole[:n])
            with pytest.raises(CorruptFileError, match="must be a complete archive"):
                ArchivedFiles(path)


def test_altered_content_is_noticed_in_a_zip(tmp_path: Path) -> None:
    path = make(tmp_path, "zip")
    content = bytearray(path.read_bytes())
    content[content.index(b"a/1.txt") + len(b"a/1.txt") + 2] ^= 0xFF
    path.write_bytes(content)
    with pytest.raises(CorruptFileError, match="a/1.txt in .* must be readable"):
        ArchivedFiles(path).read("a/1.txt")


def test_links_are_no_files(tmp_path: Path) -> None:
    folder = make(tmp_path, "folder")
    (tmp_path / "secret").write_bytes(b"secret")
    (folder / "link").symlink_to(tmp_path / "secret")
    assert "link" not in ArchivedFiles(folder).names


def test_a_missing_archive_is_reported(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match="there is none"):
        ArchivedFiles(tmp_path / "none.zip")
