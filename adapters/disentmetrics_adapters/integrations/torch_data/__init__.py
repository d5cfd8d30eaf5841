"""Data sets of PyTorch for disentmetrics, and data sets of disentmetrics as batches of tensors for training.

``from_torch`` wraps a map-style ``torch.utils.data.Dataset``; ``as_torch`` stores an entire data set on the device if
it fits, so that training needs neither workers nor copies from the host.
"""

import os
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from disentmetrics.datasets.arrays.custom import CustomDataSet
from disentmetrics.datasets.arrays.image_files import pixels_of
from disentmetrics.datasets.base import DataSet, Draws
from disentmetrics.errors import InvalidInputError
from disentmetrics_adapters._extras import optional

if TYPE_CHECKING:
    import torch

WHITE = 255
_BLOCK_ROWS = 4096  # observations that are copied to the device together
_DEFAULT_BUDGET = 1 << 31  # bytes, where the free memory is unknown


def from_torch(dataset: Any, factors: Any = None, *, name: str = "torch", **options: Any) -> CustomDataSet:
    """Wrap a map-style data set of PyTorch, whose images are read on demand.

    Parameters
    ----------
    dataset : torch.utils.data.Dataset
        Data set with a length and items by index: an image, or an image and its labels. Images are tensors (channels,
        height, width) of uint8, or of floats k/255 as returned by ``ToTensor``; arrays (height, width, channels) of
        uint8; or Pillow images. Vectors are 1-D. Random transforms are not supported: an item must always be the
        same.
    factors : sequence of str, or table of labels, optional
        Names of the labels of an item, in order; or a table as for :class:`disentmetrics.CustomDataSet`, which replaces
        the labels of the items. By default labels are named ``factor_0``, ``factor_1``, ...
    name : str
        Name in tables and reports.
    **options
        ``space``, ``kinds``, ``groups``, ``fingerprint`` of :class:`disentmetrics.CustomDataSet`.

    Returns
    -------
    CustomDataSet

    Raises
    ------
    InvalidInputError
        If ``dataset`` is not such a data set, an item differs between two reads, an image has values other than
        integers of 0 .. 255 or k/255, or the numbers of labels and names differ.

    Examples
    --------
    >>> import torch
    >>> images = torch.arange(24, dtype=torch.uint8).reshape(2, 3, 2, 2)
    >>> data = from_torch([(images[0], "cup"), (images[1], "ball")], ["shape"])
    >>> data.observation_shape, data.space["shape"].values
    ((2, 2, 3), ('ball', 'cup'))
    """
    if not hasattr(dataset, "__getitem__") or not hasattr(dataset, "__len__") or not len(dataset):
        raise InvalidInputError(
            f"dataset must have a length above 0 and items by index; got {type(dataset).__name__}; "
            "store the items of an iterable data set in a list first"
        )
    rows = _Items(dataset)
    names = _names(factors)
    if names is None:
        return CustomDataSet(rows, factors, name=name, **options)
    columns = list(zip(*(_labels(dataset[row]) for row in range(len(dataset))), strict=True))
    if factors is None:
        names = [f"factor_{k}" for k in range(len(columns))]
    if len(names) != len(columns):
        raise InvalidInputError(
            f"factors must name the {len(columns)} labels of an item; got {len(names)} names: {', '.join(names)}"
        )
    if options.get("space") is not None:
        return CustomDataSet(rows, np.array(columns).T, name=name, **options)
    return CustomDataSet(rows, dict(zip(names, columns, strict=True)) or None, name=name, **options)


def _names(factors: Any) -> list[str] | None:
    """Return the names of labels, an empty list by default; None if ``factors`` is a table."""
    if factors is None:
        return []
    is_names = isinstance(factors, list | tuple) and all(isinstance(name, str) for name in factors)
    return list(factors) if is_names else None


def _labels(item: Any) -> list[Any]:
    return list(_flat(item[1:] if isinstance(item, tuple | list) else ()))


def _flat(label: Any) -> Iterator[Any]:
    if isinstance(label, Mapping):
        raise InvalidInputError(f"labels must be numbers, text or sequences of them; got {type(label).__name__}")
    if hasattr(label, "tolist"):  # tensors and arrays
        label = label.tolist()
    if isinstance(label, tuple | list):
        for part in label:
            yield from _flat(part)
    else:
        yield label


class _Items:
    """Observations of a map-style data set."""

    def __init__(self, dataset: Any) -> None:
        self._dataset = dataset
        first = self._observation(0)
        if not np.array_equal(first, self._observation(0)):
            raise InvalidInputError("an item must be the same at every read; item 0 is not: remove random transforms")
        self.shape: tuple[int, ...] = (len(dataset), *first.shape)
        self.dtype: np.dtype[Any] = first.dtype

    def take(self, rows: NDArray[np.int64], /) -> NDArray[Any]:
        """Return the observations of these items."""
        observations = np.empty((len(rows), *self.shape[1:]), self.dtype)
        for place, row in enumerate(rows.tolist()):
            observation = self._observation(row)
            if observation.shape != self.shape[1:] or observation.dtype != self.dtype:
                raise InvalidInputError(
                    f"observations must have the same shape and type; item 0 has {self.dtype} {self.shape[1:]} and "
                    f"item {row} has {observation.dtype} {observation.shape}"
                )
            observations[place] = observation
        return observations

    def _observation(self, row: int) -> NDArray[Any]:
        item = self._dataset[row]
        value = item[0] if isinstance(item, tuple | list) else item
        if hasattr(value, "mode") and hasattr(value, "save"):  # an image of Pillow
            return pixels_of(f"item {row}", value)
        is_tensor = hasattr(value, "detach")
        array = value.detach().cpu().numpy() if is_tensor else np.asarray(value)
        if array.ndim == 1 or not is_tensor:
            return array
        if array.ndim != 3 or array.shape[0] not in {1, 3}:
            raise InvalidInputError(
                "images must be tensors (channels, height, width) of 1 or 3 channels; "
                f"item {row} has shape {tuple(array.shape)}"
            )
        return np.ascontiguousarray(_bytes(array, row).transpose(1, 2, 0))


def _bytes(image: NDArray[Any], row: int) -> NDArray[np.uint8]:
    """Return an image as uint8 if it is uint8 or contains floats k/255; other values are ambiguous and refused."""
    if image.dtype == np.uint8:
        return image
    if image.dtype.kind == "f":
        values = image.astype(np.float64) * WHITE
        rounded = np.rint(values)
        is_exact = (np.abs(values - rounded) <= WHITE * np.finfo(image.dtype).eps).all()
        if is_exact and 0 <= rounded.min() <= rounded.max() <= WHITE:
            return rounded.astype(np.uint8)
    raise InvalidInputError(
        f"images must be uint8, or floats k/255; item {row} is {image.dtype} from {image.min()} to "
        f"{image.max()}; remove transforms such as Normalize, or convert it to uint8"
    )


def as_torch(
    data: DataSet, *, device: Any = "cpu", budget_bytes: int | None = None, progress: bool = False
) -> "TorchView":
    """Return batches of tensors of a data set, which is stored in the memory of the device if it fits.

    Parameters
    ----------
    data : DataSet
        Data set of images or vectors.
    device : str or torch.device
        Device of the batches.
    budget_bytes : int, optional
        Device memory that the data set may use; by default half of the free memory. 0 keeps it on the host.
    progress : bool
        Show a progress bar while the data set is stored.

    Returns
    -------
    TorchView

    Raises
    ------
    MissingExtraError
        If PyTorch is not installed.

    Examples
    --------
    >>> import disentmetrics as dm
    >>> view = as_torch(dm.CustomDataSet(np.zeros((100, 8, 8, 1), np.uint8), np.arange(100) % 5))
    >>> for images, factors in view.batches(32, seed=0, n_batches=2):
    ...     print(images.shape, images.dtype, factors.shape)
    torch.Size([32, 1, 8, 8]) torch.float32 torch.Size([32, 1])
    torch.Size([32, 1, 8, 8]) torch.float32 torch.Size([32, 1])
    """
    return TorchView(data, device=device, budget_bytes=budget_bytes, progress=progress)


class TorchView:
    """Batches of a data set as tensors on a device; see :func:`as_torch`.

    Batches depend only on the seed, not on where the observations are stored.

    Attributes
    ----------
    rows : Draws or None
        Observations of an epoch: the full grid, or all rows of a table. None where there are infinitely many
        observations, or combinations of factors are not equally likely: each batch is then drawn independently.
    device : torch.device
    is_on_device : bool
        Whether the data set is stored on the device.
    is_packed : bool
        Whether it is stored at one bit per pixel, as images are black (0) and white (255).
    n_bytes : int
        Device memory used by the stored data set.
    """

    def __init__(self, data: DataSet, *, device: Any, budget_bytes: int | None, progress: bool) -> None:
        with optional("torch", extra="torch"):
            import torch
        self.data = data
        self.device = torch.device(device)
        self.rows = _all_rows(data)
        self._stored: torch.Tensor | None = None
        self.is_packed = False
        if self.rows is not None:
            self._store(_free_bytes(self.device) // 2 if budget_bytes is None else budget_bytes, progress=progress)

    def __len__(self) -> int:
        """Return the number of observations of an epoch; raise InvalidInputError if there are infinitely many."""
        return len(self._epoch_rows)

    @property
    def _epoch_rows(self) -> Draws:
        if self.rows is None:
            raise InvalidInputError(
                f"{self.data.name} has infinitely many observations, so they have no indices and no epoch; "
                "use batches, with n_batches"
            )
        return self.rows

    @cached_property
    def _factors(self) -> "torch.Tensor":
        import torch

        return torch.as_tensor(np.array(self._epoch_rows.factors), device=self.device)

    @property
    def is_on_device(self) -> bool:
        """Whether the data set is stored on the device."""
        return self._stored is not None

    @property
    def n_bytes(self) -> int:
        """Device memory used by the stored data set."""
        return 0 if self._stored is None else self._stored.numel() * self._stored.element_size()

    def batches(
        self, batch_size: int, *, seed: "int | torch.Generator" = 0, n_batches: int | None = None
    ) -> "Iterator[tuple[torch.Tensor, torch.Tensor]]":
        """Yield shuffled batches, epoch after epoch.

        Parameters
        ----------
        batch_size : int
            Number of observations per batch; an incomplete batch at the end of an epoch is dropped.
        seed : int or torch.Generator
            Random seed of the order; a generator is advanced.
        n_batches : int, optional
            Number of batches; unlimited by default.

        Yields
        ------
        observations : (batch_size, channels, height, width) float32 in 0 .. 1, or (batch_size, n_values) float32
        factors : (batch_size, n_factors) int64, or float64 if a factor is continuous

        Raises
        ------
        InvalidInputError
            If an epoch has fewer observations than a batch.
        """
        import torch

        if batch_size < 1 or (self.rows is not None and batch_size > len(self.rows)):
            limit = "" if self.rows is None else f" and at most {len(self.rows)}, the number of observations"
            raise InvalidInputError(f"batch_size must be at least 1{limit}; got {batch_size}")
        source = torch.Generator().manual_seed(seed) if isinstance(seed, int) else seed
        batches = self._drawn(batch_size, source) if self.rows is None else self._of_epochs(batch_size, source)
        for number, batch in enumerate(batches):
            if number == n_batches:
                return
            yield batch

    def observations(self, rows: "torch.Tensor") -> "torch.Tensor":
        """Return the observations at these rows of an epoch, as in a batch.

        Parameters
        ----------
        rows : (n,) int64 tensor
            On any device.

        Raises
        ------
        InvalidInputError
            If there are infinitely many observations, which have no indices.
        """
        if self._stored is None:
            draws = self._epoch_rows[rows.cpu().numpy()]
            return self._tensor(self.data.observations(draws.factors, draws.nuisance))
        stored = self._stored[rows.to(self.device)]
        if self.is_packed:
            # On the CPU, numpy is ten times faster than the look-up table.
            bits = bits_by_numpy(stored) if self.device.type == "cpu" else bits_by_table(stored)
            return bits[:, : self._n_values].reshape(-1, *self._shape)
        return self._scaled(stored.view(-1, *self._shape))

    @property
    def _shape(self) -> tuple[int, ...]:
        *place, channels = self.data.observation_shape
        return (channels, *place)

    @property
    def _n_values(self) -> int:
        return int(np.prod(self._shape))

    def _of_epochs(self, batch_size: int, source: "torch.Generator") -> "Iterator[tuple[torch.Tensor, torch.Tensor]]":
        shuffled = self._shuffled_rows(batch_size, source)
        if self.is_on_device:
            yield from map(self._batch, shuffled)
        with ThreadPoolExecutor(1) as ahead:  # the next batch is generated while one is used
            upcoming = ahead.submit(self._batch, next(shuffled))
            while True:
                following = next(shuffled)
                batch = upcoming.result()
                upcoming = ahead.submit(self._batch, following)
                yield batch

    def _shuffled_rows(self, batch_size: int, source: "torch.Generator") -> "Iterator[torch.Tensor]":
        import torch

        n_rows = len(self)
        while True:
            order = torch.randperm(n_rows, generator=source, device=source.device).to(self.device)
            for start in range(0, n_rows - batch_size + 1, batch_size):
                yield order[start : start + batch_size]

    def _batch(self, rows: "torch.Tensor") -> "tuple[torch.Tensor, torch.Tensor]":
        return self.observations(rows), self._factors[rows]

    def _drawn(self, batch_size: int, source: "torch.Generator") -> "Iterator[tuple[torch.Tensor, torch.Tensor]]":
        import torch

        seed = int(torch.randint(2**63 - 1, (1,), generator=source, device=source.device).item())
        rng = np.random.default_rng(seed)

        def draw() -> tuple[torch.Tensor, torch.Tensor]:
            draws = self.data.sample(batch_size, rng, replace=True)
            observations = self._tensor(self.data.observations(draws.factors, draws.nuisance))
            return observations, torch.as_tensor(draws.factors, device=self.device)

        with ThreadPoolExecutor(1) as ahead:
            upcoming = ahead.submit(draw)
            while True:
                batch = upcoming.result()
                upcoming = ahead.submit(draw)
                yield batch

    def _tensor(self, observations: NDArray[Any]) -> "torch.Tensor":
        import torch

        return self._scaled(torch.as_tensor(_channels_first(observations), device=self.device))

    @staticmethod
    def _scaled(observations: "torch.Tensor") -> "torch.Tensor":
        import torch

        floats = observations.to(torch.float32)
        return floats / WHITE if observations.dtype == torch.uint8 and observations.ndim == 4 else floats

    def _store(self, budget: int, *, progress: bool) -> None:
        first = self._block(0)
        n_rows, packed_bytes = len(self), -(-self._n_values // 8)
        is_binary = first.dtype == np.uint8 and first.ndim == 4 and bool(np.isin(first, (0, WHITE)).all())
        if is_binary and n_rows * packed_bytes <= budget:
            self._stored = self._filled(packed_bytes, np.dtype(np.uint8), packed=True, progress=progress)
            self.is_packed = self._stored is not None
        if self._stored is None and n_rows * self._n_values * first.dtype.itemsize <= budget:
            self._stored = self._filled(self._n_values, first.dtype, packed=False, progress=progress)

    def _filled(self, width: int, dtype: np.dtype[Any], *, packed: bool, progress: bool) -> "torch.Tensor | None":
        """Return all observations on the device; None if they were to be packed but are not binary."""
        import torch

        from disentmetrics._utils.progress import tracked

        stored = torch.empty((len(self), width), dtype=torch.as_tensor(np.empty(0, dtype)).dtype, device=self.device)
        starts = range(0, len(self), _BLOCK_ROWS)
        for start in tracked(iter(starts), len(starts), "storing", shown=progress):
            block = self._block(start)
            flat = _channels_first(block).reshape(len(block), -1)
            if packed:
                white = flat == WHITE
                if not np.array_equal(white, flat != 0):
                    return None
                flat = np.packbits(white, axis=1)
            stored[start : start + len(flat)] = torch.as_tensor(flat, device=self.device)
        return stored

    def _block(self, start: int) -> NDArray[Any]:
        rows = self._epoch_rows[start : start + _BLOCK_ROWS]
        return self.data.observations(rows.factors, rows.nuisance)


def bits_by_numpy(packed: "torch.Tensor") -> "torch.Tensor":
    """Return each bit of (n, n_bytes) uint8 on the CPU as float32 0 or 1."""
    import torch

    return torch.as_tensor(np.unpackbits(packed.numpy(), axis=1)).to(torch.float32)


def bits_by_table(packed: "torch.Tensor") -> "torch.Tensor":
    """Return each bit of (n, n_bytes) uint8 on any device as float32 0 or 1."""
    import torch

    places = torch.arange(7, -1, -1, device=packed.device)
    bits = (torch.arange(256, device=packed.device)[:, None] >> places) & 1
    return bits.to(torch.float32).index_select(0, packed.flatten().int()).view(len(packed), -1)


def _channels_first(observations: NDArray[Any]) -> NDArray[Any]:
    return np.ascontiguousarray(np.moveaxis(observations, -1, 1))


def _all_rows(data: DataSet) -> Draws | None:
    """Return all observations if they are finitely many and equally likely."""
    is_drawn = data.has_distribution and data.nuisances
    return data.full_grid() if data.has_full_grid and not is_drawn else None


def _free_bytes(device: "torch.device") -> int:
    import torch

    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    if device.type == "cpu" and hasattr(os, "sysconf") and "SC_AVPHYS_PAGES" in os.sysconf_names:
        return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return 2 * _DEFAULT_BUDGET
