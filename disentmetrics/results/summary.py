"""Summary of a representation for reports, without its codes: histograms, matrices, maps and a few rows."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from disentmetrics._utils.plain import to_plain
from disentmetrics._utils.typing import Floats
from disentmetrics.errors import InvalidInputError
from disentmetrics.factors import Factor


@dataclass(frozen=True, eq=False)
class TuningMap:
    """Mean of each latent over the plane of two factors.

    Attributes
    ----------
    factors : pair of int
        Positions of the factors: the first varies along the rows of a map (from left to right when drawn),
        the second along its columns.
    first, second : (n_first,) and (n_second,) float
        The mean value of the factor in each cell: its physical value where it has one, its index otherwise.
    codes : (n_mapped,) int
        Positions, among the latents of the summary, of those most informative about the two factors, best first.
    means : (n_mapped, n_first, n_second) float
        NaN where the cell is empty.
    counts : (n_first, n_second) int
        Rows behind each mean.
    """

    factors: tuple[int, int]
    first: Floats
    second: Floats
    codes: NDArray[np.int64]
    means: Floats
    counts: NDArray[np.int64]

    def __post_init__(self) -> None:
        cells = (len(self.first), len(self.second))
        if self.means.shape != (len(self.codes), *cells) or self.counts.shape != cells:
            raise InvalidInputError(f"tuning maps must have one mean per latent and cell; got shape {self.means.shape}")

    def to_plain(self) -> dict[str, Any]:
        """Return the map as dicts, lists and scalars of JSON."""
        plain: dict[str, Any] = to_plain(self)
        return plain

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> "TuningMap":
        """Restore what :meth:`to_plain` returned."""
        first, second = plain["factors"]
        codes, counts = _ints(plain["codes"]), _ints(plain["counts"])
        axes = _floats(plain["first"]), _floats(plain["second"])
        shape = (len(codes), len(axes[0]), len(axes[1]))
        return cls((int(first), int(second)), *axes, codes, _floats(plain["means"], shape), counts.reshape(shape[1:]))


@dataclass(frozen=True, eq=False)
class RepresentationSummary:
    """Summary of a representation for reports, without its codes; small enough to be stored with the scores.

    Numbers are rounded to 5 digits, correlations and sampled codes to fewer. Weighted rows were resampled by
    their weights first.

    Attributes
    ----------
    n_rows : int
        Rows that were scored.
    n_left_out : int
        Latents that are not shown, because there are more than 256: the least informative about any factor
        (without factors: those of least divergence from the prior, or of least spread).
    code_names : tuple of str
    code_positions : (n_codes,) int
        Columns of the shown codes in the representation, ascending: rows of the matrices of ``Score.details``.
    factors : tuple of Factor
        Names of the values of a factor are left out if there are more than 100.
    mean, std : (n_codes,) float
    kl : (n_codes,) float or None
        Mean divergence of the posteriors from N(0, 1) in nats; None without posterior variances.
    active : (n_codes,) bool
        Which latents are neither constant nor collapsed to the prior (KL at most 0.01 nats).
    histogram_counts : (n_codes, 40) int
        Of at most 20,000 rows. The outermost bins include the values beyond them.
    histogram_edges : (n_codes, 41) float
    correlation : (n_codes, n_codes) float
        Spearman's, signed, in [-1, 1], of at most 5,000 rows; NaN for constant codes and for categories.
    mutual_information : (n_codes, n_factors) float
        Nats, at finite resolution as in ``mig``: unbiased, so slightly negative at times, for unrelated pairs.
    factor_entropies : (n_factors,) float
        Nats. 0 for a factor that takes one value.
    best_codes : (n_factors,) int
        The latent most informative about each factor; -1 where none is informative.
    sample_codes, sample_factors : (n_sample, n_codes) and (n_sample, n_factors) float
        At most 400 rows, drawn by a fixed generator; indices of values, or real values of continuous
        factors, NaN where missing.
    tuning_maps : tuple of TuningMap
        Over pairs of ordinal or continuous factors whose names differ by the name of an axis (``x`` and ``y``,
        ``posX`` and ``posY``, ``horizontal axis`` and ``vertical axis``); if there are none, over the two
        factors of the most values.

    Raises
    ------
    InvalidInputError
        If shapes disagree.
    """

    n_rows: int
    n_left_out: int
    code_names: tuple[str, ...]
    code_positions: NDArray[np.int64]
    factors: tuple[Factor, ...]
    mean: Floats
    std: Floats
    kl: Floats | None
    active: NDArray[np.bool_]
    histogram_counts: NDArray[np.int64]
    histogram_edges: Floats
    correlation: Floats
    mutual_information: Floats
    factor_entropies: Floats
    best_codes: NDArray[np.int64]
    sample_codes: Floats
    sample_factors: Floats
    tuning_maps: tuple[TuningMap, ...] = ()

    def __post_init__(self) -> None:
        if self.histogram_edges.ndim != 2:
            raise InvalidInputError(f"histogram_edges of a summary must have two axes; got {self.histogram_edges.ndim}")
        n_codes, n_factors, n_sample = len(self.code_names), len(self.factors), len(self.sample_codes)
        expected = {
            "code_positions": (n_codes,),
            "mean": (n_codes,),
            "std": (n_codes,),
            "kl": (n_codes,),
            "active": (n_codes,),
            "histogram_counts": (n_codes, self.histogram_edges.shape[-1] - 1),
            "histogram_edges": (n_codes, self.histogram_edges.shape[-1]),
            "correlation": (n_codes, n_codes),
            "mutual_information": (n_codes, n_factors),
            "factor_entropies": (n_factors,),
            "best_codes": (n_factors,),
            "sample_codes": (n_sample, n_codes),
            "sample_factors": (n_sample, n_factors),
        }
        for name, shape in expected.items():
            array = getattr(self, name)
            if array is not None and array.shape != shape:
                raise InvalidInputError(f"{name} of a summary must have shape {shape}; got {array.shape}")
        shown = [self.best_codes, *(tuning.codes for tuning in self.tuning_maps)]
        mapped = [position for tuning in self.tuning_maps for position in tuning.factors]
        if any(len(codes) and (codes.min() < -1 or codes.max() >= n_codes) for codes in shown) or any(
            not 0 <= position < n_factors for position in mapped
        ):
            raise InvalidInputError("best_codes and tuning_maps must refer to latents and factors of the summary")

    @property
    def factor_names(self) -> tuple[str, ...]:
        """Names of the factors, in order."""
        return tuple(factor.name for factor in self.factors)

    @property
    def share(self) -> Floats:
        """Share of each factor's entropy carried by each latent, (n_codes, n_factors), in [0, 1]; NaN if it is 0."""
        entropies = np.where(self.factor_entropies > 0, self.factor_entropies, np.nan)
        return np.asarray(np.clip(self.mutual_information / entropies, 0.0, 1.0))

    def to_plain(self) -> dict[str, Any]:
        """Return the summary as dicts, lists and scalars of JSON; NaN becomes None."""
        return {**to_plain(self), "factors": [factor.to_plain() for factor in self.factors]}

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> "RepresentationSummary":
        """Restore what :meth:`to_plain` returned.

        Raises
        ------
        KeyError, TypeError, ValueError
            If a part is missing or of a wrong type or shape.
        """
        names = tuple(map(str, plain["code_names"]))
        factors = tuple(map(Factor.from_plain, plain["factors"]))
        pairs = (len(names), len(factors))
        n_sample = len(plain["sample_codes"])
        return cls(
            n_rows=int(plain["n_rows"]),
            n_left_out=int(plain["n_left_out"]),
            code_names=names,
            code_positions=_ints(plain["code_positions"]),
            factors=factors,
            mean=_floats(plain["mean"]),
            std=_floats(plain["std"]),
            kl=None if plain["kl"] is None else _floats(plain["kl"]),
            active=np.array(plain["active"], dtype=np.bool_),
            histogram_counts=_ints(plain["histogram_counts"]),
            histogram_edges=_floats(plain["histogram_edges"]),
            correlation=_floats(plain["correlation"]),
            mutual_information=_floats(plain["mutual_information"], pairs),
            factor_entropies=_floats(plain["factor_entropies"]),
            best_codes=_ints(plain["best_codes"]),
            sample_codes=_floats(plain["sample_codes"]),
            sample_factors=_floats(plain["sample_factors"], (n_sample, len(factors))),
            tuning_maps=tuple(map(TuningMap.from_plain, plain["tuning_maps"])),
        )


def _floats(values: Any, shape: tuple[int, ...] | None = None) -> Floats:
    array = np.array(values, dtype=np.float64)  # None becomes NaN
    return array if shape is None else array.reshape(shape)


def _ints(values: Any) -> NDArray[np.int64]:
    array = np.array(values)
    if array.size and array.dtype.kind not in "iu":
        raise InvalidInputError(f"positions and counts of a summary must be whole numbers; got {array.dtype}")
    return array.astype(np.int64)
