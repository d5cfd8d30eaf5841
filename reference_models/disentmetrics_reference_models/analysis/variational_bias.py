"""The two toys of variational bias as tables: factor analysis in closed form, and overcomplete ICA.

After Stühmer, Turner & Nowozin (2020), *Independent Subspace Analysis for Unsupervised Learning of Disentangled
Representations*, appendix B. Their loadings, noise, angles, β and numbers of rows are not published, so that no row of
the tables has a published value next to it; what is claimed in the text is stated in the notes.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from disentmetrics._utils.cache import atomic_path
from disentmetrics._utils.progress import progress_bar
from disentmetrics.errors import InvalidInputError, did_you_mean
from disentmetrics_reference_models.analysis.factor_analysis import (
    FactorAnalysis,
    Scan,
    overcomplete_scan,
    plot_rotation,
    rotation_scan,
)
from disentmetrics_reference_models.analysis.overcomplete_ica import (
    Fit,
    SparseSources,
    directions,
    fit,
    plot_components,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SOURCE = "Stühmer, Turner, Nowozin (2020), appendix B"
_ANGLES, _SHARES = (0.0, 15.0, 30.0, 45.0, 90.0), (0.0, 0.5, 1.0)
_SWEEPS = {"smoke": 60, "small": 600, "paper": 2000}


@dataclass(frozen=True)
class ToyTable:
    """Results of a toy as a table.

    Attributes
    ----------
    headings : tuple of str
        Column headings.
    rows : tuple of tuple of str
    texts : tuple of str
        Notes on settings and claims.
    values : mapping
        The numbers as plain values for JSON.
    """

    headings: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    texts: tuple[str, ...]
    values: Mapping[str, Any]

    def cells(self) -> list[tuple[str, ...]]:
        """Return the rows as text."""
        return list(self.rows)

    def notes(self) -> list[str]:
        """Return notes on settings and claims."""
        return list(self.texts)

    def as_dict(self) -> dict[str, Any]:
        """Return the numbers as plain values for JSON."""
        return dict(self.values)


def fa_toy(
    preset: str,
    folder: Path | str,
    *,
    device: str = "auto",
    settings: Mapping[str, str] | None = None,
    progress: bool = False,
) -> ToyTable:
    """Show that mean-field inference prefers orthogonal loadings, which the likelihood does not, in factor analysis.

    Parameters
    ----------
    preset : {"smoke", "small", "paper"}
        100, 2,000 or 10,000 rows of data.
    folder : path
        Folder of the figure, ``figure.png``.
    device : str
        Only ``auto`` or ``cpu``.
    settings : mapping, optional
        ``noise`` (variance, 0.1), ``betas`` (1,2,5,10,100), ``rows`` and ``seed`` (0).
    progress : bool
        Ignored: it takes seconds.

    Returns
    -------
    ToyTable
        Log-likelihood, bound and gap in nats per row under rotations of the loadings diag(3, 1), and where two latents
        share an axis; and for each β the range of the tempered bound, that is, how strongly it prefers some axes.
    """
    _on_cpu("fa-toy", device)
    rows = {"smoke": "100", "small": "2000", "paper": "10000"}[preset]
    known = _settings("fa-toy", settings, {"noise": "0.1", "betas": "1,2,5,10,100", "rows": rows, "seed": "0"})
    noise, betas = _number("noise", known["noise"]), _numbers("betas", known["betas"])
    model = FactorAnalysis(np.diag([3.0, 1.0]), noise)
    data = model.sample(int(_number("rows", known["rows"])), np.random.default_rng(int(known["seed"])))
    rotation = rotation_scan(data, model.loadings, noise, _ANGLES)
    shared = overcomplete_scan(data, noise, _SHARES)
    scans = [rotation_scan(data, model.loadings, noise, np.arange(0, 91, 1.0), beta) for beta in betas]
    cells = [*_scan_rows("rotated by", "°", rotation), *_scan_rows("second axis shared:", "", shared)]
    cells += [(f"range over rotations, β = {scan.beta:g}", "", "", f"{scan.amplitude:.3f}") for scan in scans]
    _save(plot_rotation(scans), Path(folder))
    return ToyTable(
        ("loadings", "log-likelihood", "bound, β = 1", "gap"),
        tuple(cells),
        (
            f"nats per row; {SOURCE}: rotations leave the likelihood unchanged; the bound prefers orthogonal loadings",
            "range: of the bound of the tempered model, divided by β; it shrinks as β grows, as the paper says",
            "the loadings and the noise of the paper are not published: these are ours",
        ),
        {
            "settings": known,
            "rotation": _plain(rotation),
            "shared_axis": _plain(shared),
            "amplitude": {f"{scan.beta:g}": scan.amplitude for scan in scans},
        },
    )


def ica_toy(
    preset: str,
    folder: Path | str,
    *,
    device: str = "auto",
    settings: Mapping[str, str] | None = None,
    progress: bool = False,
) -> ToyTable:
    """Fit three sparse sources in the plane by variational inference, and report which components remain.

    Parameters
    ----------
    preset : {"smoke", "small", "paper"}
        At most 60, 600 or 2,000 sweeps; 60 are too few to converge.
    folder : path
        Folder of the figure, ``figure.png``.
    device : str
        Only ``auto`` or ``cpu``.
    settings : mapping, optional
        ``angles`` (0,60,120), ``degrees_of_freedom`` (3.5), ``noise`` (variance, 0.05), ``betas`` (1,5), ``rows``
        (200), ``seed`` (0) and ``sweeps``.
    progress : bool
        Show a progress bar.

    Returns
    -------
    ToyTable
        For each β: whether the fit converged, the contributions of the components, and the angle between the two
        strongest ones.
    """
    _on_cpu("ica-toy", device)
    defaults = {"angles": "0,60,120", "degrees_of_freedom": "3.5", "noise": "0.05", "betas": "1,5", "rows": "200"}
    defaults |= {"seed": "0", "sweeps": str(_SWEEPS[preset])}
    known = _settings("ica-toy", settings, defaults)
    angles = _numbers("angles", known["angles"])
    if len(angles) < 2:
        raise InvalidInputError(f"angles must be at least two, such as 0,60,120; got {known['angles']!r}")
    truth = SparseSources(
        directions(*angles),
        _number("noise", known["noise"]),
        _number("degrees_of_freedom", known["degrees_of_freedom"]),
    )
    data = truth.sample(int(_number("rows", known["rows"])), np.random.default_rng(int(known["seed"])))
    fits: list[Fit] = []
    betas = _numbers("betas", known["betas"])
    with progress_bar(shown=progress) as bar:
        task = bar.add_task("fits", total=len(betas))
        for beta in betas:
            fits.append(fit(truth, data, beta=beta, max_sweeps=int(_number("sweeps", known["sweeps"]))))
            bar.advance(task)
    _save(plot_components(data, fits), Path(folder))
    return ToyTable(
        ("β", "converged", "sweeps", "contributions of the components", "angle of the two strongest"),
        tuple(
            (
                f"{one.beta:g}",
                "yes" if one.converged else "no",
                str(len(one.free_energy) - 1),
                ", ".join(f"{value:.2f}" for value in sorted(one.contribution, reverse=True)),
                f"{one.separation:.0f}°" if math.isfinite(one.separation) else "",
            )
            for one in fits
        ),
        (
            f"{SOURCE}: the two strongest components become nearly orthogonal (reproduced for angles 0, 60, 120)",
            "not reproduced: that β = 1 keeps three components and a larger β prunes one; β = 1 prunes too, only later",
            "contribution: norm of the loadings times the standard deviation of the posterior means",
            "the angles, tails, noise and β of the paper are not published: these are ours",
        ),
        {
            "settings": known,
            "fits": [
                {
                    "beta": one.beta,
                    "converged": one.converged,
                    "sweeps": len(one.free_energy) - 1,
                    "contribution": one.contribution.tolist(),
                    "separation": one.separation if math.isfinite(one.separation) else None,
                }
                for one in fits
            ],
        },
    )


def _scan_rows(name: str, unit: str, scan: Scan) -> list[tuple[str, ...]]:
    columns = zip(scan.setting, scan.log_likelihood, scan.free_energy, scan.gap, strict=True)
    return [(f"{name} {setting:g}{unit}", f"{ll:.3f}", f"{f:.3f}", f"{gap:.3f}") for setting, ll, f, gap in columns]


def _plain(scan: Scan) -> dict[str, list[float]]:
    names = ("setting", "log_likelihood", "free_energy", "gap")
    return {name: getattr(scan, name).tolist() for name in names}


def _save(figure: "Figure", folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    with atomic_path(folder / "figure.png") as temporary:
        figure.savefig(temporary, format="png", dpi=150)


def _on_cpu(name: str, device: str) -> None:
    if device not in {"auto", "cpu"}:
        raise InvalidInputError(f"{name} is computed on the CPU; got device {device!r}")


def _settings(name: str, given: Mapping[str, str] | None, defaults: Mapping[str, str]) -> dict[str, str]:
    for key in given or ():
        if key not in defaults:
            raise InvalidInputError(
                f"{name} has no setting {key!r}{did_you_mean(key, defaults)}; its settings are {', '.join(defaults)}"
            )
    known = {**defaults, **(given or {})}
    if not known["seed"].isdecimal():
        raise InvalidInputError(f"seed must be a whole number of at least 0; got {known['seed']!r}")
    return known


def _number(name: str, text: str) -> float:
    return _numbers(name, text)[0]


def _numbers(name: str, text: str) -> Sequence[float]:
    try:
        numbers = [float(word) for word in text.split(",")]
    except ValueError as error:
        raise InvalidInputError(f"{name} must be numbers, separated by commas if several; got {text!r}") from error
    if not all(map(math.isfinite, numbers)):
        raise InvalidInputError(f"{name} must be finite; got {text!r}")
    return numbers
