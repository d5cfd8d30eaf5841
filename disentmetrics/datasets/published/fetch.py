"""Published files from the network: resumed where a download broke off, used only if they match."""

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


class ResumingDownloader:
    """A downloader for pooch that goes on where an earlier attempt broke off.

    The beginning of a file waits beside its place as ``NAME.partial``, also for a later run.

    Parameters
    ----------
    file : ManifestFile
        What the content must match.
    partial : Path
        Where the beginning is kept.
    progress : bool
        Show a bar.
    timeout : float
        Seconds without a byte after which an attempt is given up.
    pauses : tuple of float
        Seconds before each further attempt.
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
        """Fetch ``url`` to ``output_file``; raise DownloadError if it cannot be had or does not match."""
        resumed = self._complete(url)
        mismatch = self.file.mismatch(self.partial, progress=self.progress)
        if mismatch and resumed:  # the beginning may be that of another version
            self.partial.unlink()
            self._complete(url)
            mismatch = self.file.mismatch(self.partial, progress=self.progress)
        if mismatch:
            self.partial.unlink()
            raise DownloadError(f"{mismatch}, so the download was deleted")
        self.partial.replace(output_file)

    def _complete(self, url: str) -> bool:
        """Fetch what is missing, in several attempts; return whether there was a beginning."""
        import requests

        failure = ""
        for pause in (0.0, *self.pauses):
            time.sleep(pause)
            try:
                return self._append(url)
            except requests.HTTPError as error:
                failure = str(error)
            except requests.Timeout:
                failure = f"nothing came for {self.timeout:g} s"
            except requests.RequestException as error:
                failure = f"the connection failed ({type(error).__name__})"
        raise DownloadError(failure)

    def _append(self, url: str) -> bool:
        import requests

        n_had = self.partial.stat().st_size if self.partial.exists() else 0
        # Compressed transfer would count other bytes than the file's.
        headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={n_had}-"} if n_had else {})
        with requests.get(url, headers=headers, stream=True, timeout=self.timeout) as answer:
            if answer.status_code == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
                return True  # nothing is missing: the beginning is the whole, or not of this file
            if not answer.ok:
                failure = f"the server answers {answer.status_code} {answer.reason}"
                passing = answer.status_code >= HTTPStatus.INTERNAL_SERVER_ERROR
                raise requests.HTTPError(failure) if passing else DownloadError(failure)
            goes_on = answer.headers.get("Content-Range", "").startswith(f"bytes {n_had}-")
            if not goes_on:
                n_had = 0
            n_bytes = int(answer.headers.get("Content-Length", 0)) + n_had
            with (
                self.partial.open("ab" if goes_on else "wb") as kept,
                progress_bar(shown=self.progress) as bar,
            ):
                task = bar.add_task(f"fetching {self.file.name}", total=n_bytes or None, completed=n_had)
                for piece in answer.iter_content(_PIECE):
                    kept.write(piece)
                    bar.advance(task, len(piece))
        return goes_on


def fetch(
    file: ManifestFile,
    *,
    folder: str = "",
    progress: bool = False,
    timeout: float = 30.0,
    pauses: tuple[float, ...] = (1.0, 4.0),
) -> Path:
    """Return the path of a published file in the cache folder, fetched if it is not there.

    Parameters
    ----------
    file : ManifestFile
        What is wanted.
    folder : str
        Name of a folder of the cache, such as that of the data set: files of several sets may have one name.
    progress : bool
        Show a bar.
    timeout : float
        Seconds without a byte after which an attempt is given up.
    pauses : tuple of float
        Seconds before each further attempt at one address.

    Returns
    -------
    Path
        Of a file that matches all that is published.

    Raises
    ------
    DownloadError
        If no address gives the file, or gives another one, or no published checksum is known.
    StorageError
        If the cache folder cannot be written.
    """
    import pooch

    if not file.is_verifiable:
        raise DownloadError(
            f"no published checksum of {file.name} is known, so a download could not be verified; "
            "fetch it yourself and give its path with ?verify=false"
        )
    path = cache_folder() / "datasets" / "original" / folder / file.name
    partial = path.with_name(f"{path.name}.partial")
    downloader = ResumingDownloader(file, partial, progress=progress, timeout=timeout, pauses=pauses)
    # The downloader compares all that is published; another container of the right content is right too.
    known = None if file.content_sha256 else ":".join(next(iter(file.checksums.items())))
    pooch.get_logger().setLevel(logging.WARNING)  # our bar says what is fetched, and our errors what was wrong
    failures = []
    with locked(path):
        if path.exists() and not file.mismatch(path, progress=progress):
            return path
        for url in file.urls:
            try:
                pooch.retrieve(url, known, fname=path.name, path=path.parent, downloader=downloader)
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
        f"{file.name} could not be fetched: {'; '.join(failures)}; "
        "try again later, or fetch it by other means and give its path"
    )
