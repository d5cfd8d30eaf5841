"""Codes of an unfinished run on disk, from which an interrupted run resumes."""

import contextlib
import hashlib
import json
import logging
import math
import os
import shutil
import time
from io import FileIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from disentmetrics._utils.cache import atomic_path
from disentmetrics.errors import EncoderError

logger = logging.getLogger("disentmetrics")
_FLUSH_SECONDS = 2.0
_FLUSH_BYTES = 1 << 24


class PartialStore:
    """Codes of an unfinished run: raw rows in one file, their number and checksum in a second one.

    Rows that were written but not yet counted by the second file are discarded on resumption. The file stays open, so
    that the rows remain available if the cache is cleared in the meantime.
    """

    def __init__(self, folder: Path, most_rows: int) -> None:
        self.folder = folder
        self.waiting: list[NDArray[np.floating]] = []
        self.waiting_bytes = 0
        self.flushed_at = time.monotonic()
        self.failure: OSError | None = None
        self.rescued: list[NDArray[np.floating]] = []
        self.digest = hashlib.sha256()
        self.file: FileIO | None = None
        self.about = self._open(most_rows)

    @property
    def n_rows(self) -> int:
        return int(self.about["n_rows"]) if self.about else 0

    def _open(self, most_rows: int) -> dict[str, Any] | None:
        """Open the rows of an interrupted run, or return None if there are none or they were altered."""
        try:
            about: dict[str, Any] = json.loads((self.folder / "about.json").read_text(encoding="utf-8"))
            dtype = np.dtype(about["dtype"])
            n_bytes = about["n_rows"] * math.prod(about["shape"]) * dtype.itemsize
            file = (self.folder / "rows.bin").open("r+b", buffering=0)
        except (OSError, ValueError, KeyError, TypeError, OverflowError, RecursionError):
            return None
        digest = hashlib.sha256()
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError, OverflowError, MemoryError):
            n_read = 0
            while piece := file.read(max(0, min(n_bytes - n_read, _FLUSH_BYTES))):
                digest.update(piece)
                n_read += len(piece)
            is_intact = n_read == n_bytes and digest.hexdigest() == about["sha256"]
            if is_intact and dtype.kind == "f" and 0 < about["n_rows"] <= most_rows:
                file.truncate(n_bytes)  # discard rows that were written but not counted
                self.file, self.digest = file, digest
                return about
        file.close()
        return None

    def append(self, rows: NDArray[np.floating]) -> None:
        if self.about and (list(rows.shape[1:]), rows.dtype.str) != (self.about["shape"], self.about["dtype"]):
            raise EncoderError(
                "the encoder must give codes of the same shape and type as in its interrupted run, "
                f"{self.about['shape']} {self.about['dtype']}; it gave {list(rows.shape[1:])} {rows.dtype.str}; "
                "change its fingerprint, or clear the cache"
            )
        self.waiting.append(rows)
        self.waiting_bytes += rows.nbytes
        if self.waiting_bytes > _FLUSH_BYTES or time.monotonic() - self.flushed_at > _FLUSH_SECONDS:
            self.flush()

    def flush(self) -> None:
        if not self.waiting:
            return
        rows = np.concatenate(self.waiting)
        self.waiting, self.waiting_bytes, self.flushed_at = [], 0, time.monotonic()
        if self.failure is None:
            try:
                self._write(rows)
            except OSError as error:
                self.failure = error
                logger.warning("codes are not cached: %s", error.strerror or error)
                self.rescued = [self._on_disk()] if self.n_rows else []
        if self.failure is not None:
            self.rescued.append(rows)

    def _write(self, rows: NDArray[np.floating]) -> None:
        if self.file is None:
            self.folder.mkdir(parents=True, exist_ok=True)
            self.file = (self.folder / "rows.bin").open("w+b", buffering=0)
        content = np.ascontiguousarray(rows).data.cast("B")
        n_written = 0
        while n_written < len(content):
            n_written += self.file.write(content[n_written:])
        os.fsync(self.file.fileno())
        self.digest.update(content)
        about = {
            "n_rows": self.n_rows + len(rows),
            "shape": list(rows.shape[1:]),
            "dtype": rows.dtype.str,
            "sha256": self.digest.hexdigest(),
        }
        with atomic_path(self.folder / "about.json") as temporary:
            temporary.write_text(json.dumps(about), encoding="utf-8")
        self.about = about

    def _on_disk(self) -> NDArray[np.floating]:
        assert self.about is not None  # noqa: S101 # only called once rows are written
        shape = (self.n_rows, *self.about["shape"])
        rows: NDArray[np.floating] = np.memmap(self.file, self.about["dtype"], "r", 0, shape)  # type: ignore[call-overload] # an open file will do
        return rows

    def read(self) -> NDArray[np.floating]:
        return np.concatenate(self.rescued) if self.failure is not None else self._on_disk()

    def close(self) -> None:
        if self.file is not None:
            self.file.close()

    def remove(self) -> None:
        self.close()
        with contextlib.suppress(OSError):
            shutil.rmtree(self.folder)
