"""Figures of matplotlib, drawn without a window; nothing is imported before one is asked for."""

from typing import TYPE_CHECKING, Any

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
        raise MissingExtraError(
            'plots are drawn with matplotlib, which is not installed; pip install "disentmetrics[plots]"'
        ) from error
    return mpl


def empty_figure(**settings: Any) -> "Figure":
    """Return a new figure, laid out so that nothing overlaps; ``savefig`` writes it.

    Parameters
    ----------
    **settings
        Of ``matplotlib.figure.Figure``, such as ``figsize``.

    Raises
    ------
    MissingExtraError
        If matplotlib is not installed.
    """
    import_matplotlib()
    from matplotlib.figure import Figure

    return Figure(layout="constrained", **settings)
