"""Resumable downloads of published files, used only if their checksums match."""

import logging
import time
from http import HTTPStatus
from pathlib import Path
from typing import Any

from disentmetrics._utils.cache import VARIABLE, cache_folder, locked
from disentmetrics._utils.progress import progress_bar
from disentmetrics.datasets.published.manifest import ManifestFile
from disentmetrics.errors import DownloadError, StorageError

_PIECE = 1 << 16  # bytes
_MOST_BYTES = 1 << 40  # of a file of unknown size
_LARGER_CONTAINER = 4


class ResumingDownloader:
    """A downloader for pooch that resumes interrupted downloads.

    An incomplete download is kept next to the target as ``NAME.partial``, also across runs.

    Parameters
    ----------
    file : ManifestFile
        Description that the content must match.
    partial : Path
        Path of the incomplete download.
    progress : bool
        Show a progress bar.
    timeout : float
        Seconds without data after which an attempt is aborted.
    pauses : tuple of float
        Seconds to wait before each retry.
    """

    def __init__(
        self,
        file: ManifestFile,
        partial: Path,
        *,
        progress: bool,
        timeout: float,
        pauses: tuple[float, ...],
    ) -> None:
        self.file = file
        self.partial = partial
        self.progress = progress
        self.timeout = timeout
        self.pauses = pauses

    def __call__(self, url: str, output_file: str, _pooch: Any) -> None:
        """Download ``url`` to ``output_file``.

        Raises
        ------
        DownloadError
            If the download fails or the content does not match.
        """
        resumed = self._complete(url)
        mismatch = self.file.mismatch(self.partial, progress=self.progress)
        if mismatch and resumed:  # the partial file may belong to another version
            self.partial.unlink()
            self._complete(url)
            mismatch = self.file.mismatch(self.partial, progress=self.progress)
        if mismatch:
            self.partial.unlink()
            raise DownloadError(f"{mismatch}, so the download was deleted")
        self.partial.replace(output_file)

    def _complete(self, url: str) -> bool:
        """Download the missing part, with retries; return whether a partial file was resumed."""
        import requests

        failure = ""
        for pause in (0.0, *self.pauses):
            time.sleep(pause)
            try:
                return self._append(url)
            except requests.HTTPError as error:
                failure = str(error)
            except requests.Timeout:
                failure = f"no data received for {self.timeout:g} s"
            except requests.RequestException as error:
                failure = f"the connection failed ({type(error).__name__})"
        raise DownloadError(failure)

    def _append(self, url: str) -> bool:
        import requests

        n_present = self.partial.stat().st_size if self.partial.exists() else 0
        # With a compressed transfer, byte ranges would not refer to the bytes of the file.
        headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={n_present}-"} if n_present else {})
        with requests.get(url, headers=headers, stream=True, timeout=self.timeout) as response:
            if response.status_code == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
                return True  # nothing is missing: the partial file is complete, or belongs to another file
            if not response.ok:
                failure = f"the server responded {response.status_code} {response.reason}"
                is_transient = response.status_code >= HTTPStatus.INTERNAL_SERVER_ERROR
                raise requests.HTTPError(failure) if is_transient else DownloadError(failure)
            is_resumed = response.headers.get("Content-Range", "").startswith(f"bytes {n_present}-")
            if not is_resumed:
                n_present = 0
            declared = response.headers.get("Content-Length", "")
            n_bytes = (int(declared) if declared.isdecimal() else 0) + n_present
            # another container with the same content is accepted, and may be larger
            most_bytes = (self.file.n_bytes or _MOST_BYTES) * (_LARGER_CONTAINER if self.file.content_sha256 else 1)
            with (
                self.partial.open("ab" if is_resumed else "wb") as file,
                progress_bar(shown=self.progress) as bar,
            ):
                task = bar.add_task(f"downloading {self.file.name}", total=n_bytes or None, completed=n_present)
                n_received = n_present
                for piece in response.iter_content(_PIECE):
                    file.write(piece)
                    n_received += len(piece)
                    if n_received > most_bytes:
                        self.partial.unlink()
                        raise DownloadError(f"the server sends more than the {most_bytes:,} bytes of {self.file.name}")
                    bar.advance(task, len(piece))
        return is_resumed


def fetch(
    file: ManifestFile,
    *,
    folder: str = "",
    progress: bool = False,
    timeout: float = 30.0,
    pauses: tuple[float, ...] = (1.0, 4.0),
) -> Path:
    """Return the path of a published file in the cache folder, downloading it if necessary.

    Parameters
    ----------
    file : ManifestFile
        The file.
    folder : str
        Subfolder of the cache, such as the name of the data set, as files of different data sets can share a name.
    progress : bool
        Show a progress bar.
    timeout : float
        Seconds without data after which an attempt is aborted.
    pauses : tuple of float
        Seconds to wait before each retry at one URL.

    Returns
    -------
    Path
        A file that matches all published checksums and its size.

    Raises
    ------
    DownloadError
        If no URL provides the file, the content does not match, or no checksum is published.
    StorageError
        If the cache folder cannot be written.
    """
    import pooch

    if not file.is_verifiable:
        raise DownloadError(
            f"no published checksum of {file.name} is known, so a download could not be verified; "
            "download it yourself and give its path with ?verify=false"
        )
    path = cache_folder() / "datasets" / "original" / folder / file.name
    partial = path.with_name(f"{path.name}.partial")
    downloader = ResumingDownloader(file, partial, progress=progress, timeout=timeout, pauses=pauses)
    # The downloader verifies all checksums itself; a different container with the right content is also accepted.
    expected_hash = None if file.content_sha256 else ":".join(next(iter(file.checksums.items())))
    pooch.get_logger().setLevel(logging.WARNING)  # progress and errors are reported here instead
    failures = []
    with locked(path):
        if path.exists() and not file.mismatch(path, progress=progress):
            return path
        for url in file.urls:
            try:
                pooch.retrieve(url, expected_hash, fname=path.name, path=path.parent, downloader=downloader)
            except DownloadError as error:
                failures.append(f"{error} at {url}")
            except OSError as error:
                raise StorageError(
                    f"{path} could not be written: {error.strerror or error}; "
                    f"free space or set {VARIABLE} to another folder"
                ) from error
            else:
                return path
    raise DownloadError(
        f"{file.name} could not be downloaded: {'; '.join(failures)}; "
        "try again later, or download it by other means and give its path"
    )
