"""Figures of matplotlib without a window; matplotlib is imported when the first is created."""

from typing import TYPE_CHECKING, Any

from disentmetrics._utils.installation import install_command
from disentmetrics.errors import MissingExtraError

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def import_matplotlib() -> Any:
    """Import matplotlib.

    Raises
    ------
    MissingExtraError
        If it is not installed.
    """
    try:
        import matplotlib as mpl
    except ModuleNotFoundError as error:
        if not (error.name or "").startswith("matplotlib"):
            raise
        raise MissingExtraError(f"plots need matplotlib, which is not installed; {install_command('plots')}") from error
    return mpl


def empty_figure(**settings: Any) -> "Figure":
    """Return an empty figure with constrained layout.

    Parameters
    ----------
    **settings
        Arguments of ``matplotlib.figure.Figure``, such as ``figsize``.

    Raises
    ------
    MissingExtraError
        If matplotlib is not installed.
    """
    import_matplotlib()
    from matplotlib.figure import Figure

    return Figure(layout="constrained", **settings)
