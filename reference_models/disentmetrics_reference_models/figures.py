"""Empty figures to draw into, without a window."""

from typing import TYPE_CHECKING, Any

from disentmetrics.errors import MissingExtraError

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def empty_figure(**settings: Any) -> "Figure":
    """Return a new figure of matplotlib, laid out so that nothing overlaps; ``savefig`` writes it.

    Parameters
    ----------
    **settings
        Of ``matplotlib.figure.Figure``, such as ``figsize``.

    Raises
    ------
    MissingExtraError
        If matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure
    except ModuleNotFoundError as error:
        if not (error.name or "").startswith("matplotlib"):
            raise
        raise MissingExtraError(
            "figures are drawn with matplotlib, which is not installed; pip install 'disentmetrics[plots]'"
        ) from error
    return Figure(layout="constrained", **settings)
