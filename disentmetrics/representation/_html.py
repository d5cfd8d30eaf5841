"""A representation as HTML, for notebooks."""

from typing import TYPE_CHECKING

import numpy as np

from disentmetrics._utils.tables import TextTable, html_caption, html_lines
from disentmetrics.factors import Factor

if TYPE_CHECKING:
    from disentmetrics.representation._representation import Representation

_ROWS, _COLUMNS = 5, 8
_MORE = "…"


def representation_html(representation: "Representation") -> str:
    """Return the first rows and columns as a table, with the kinds of the factors below it."""
    space, codes = representation.space, representation.codes
    n_rows = min(_ROWS, len(representation))
    n_codes, n_factors = min(_COLUMNS, representation.n_codes), min(_COLUMNS, representation.n_factors)
    more_codes = [_MORE] if n_codes < representation.n_codes else []
    more_factors = [_MORE] if n_factors < representation.n_factors else []
    head = [*representation.code_names[:n_codes], *more_codes, *space.names[:n_factors], *more_factors]
    body = []
    for row in range(n_rows):
        values = [f"{value:.3g}" for value in codes[row, :n_codes]]
        labels = [_label_text(space.factors[k], representation.factors[row, k]) for k in range(n_factors)]
        body.append([f"{row}", *values, *more_codes, *labels, *more_factors])
    if n_rows < len(representation):
        body.append([_MORE] * (1 + len(head)))
    kinds = [factor.description for factor in space.factors[:n_factors]]
    kinds += [f"{representation.n_factors - n_factors} more"] if more_factors else []
    also = [name for name in ("log_variance", "groups", "weights") if getattr(representation, name) is not None]
    plural = "" if representation.n_codes == 1 else "s"
    origin = representation.provenance
    caption = html_caption(
        f"Representation · {representation.n_samples} rows · {representation.n_codes} latent{plural} · "
        f"{origin.encoder} encoder · data {origin.data}"
    )
    about = [f"factors: {', '.join(kinds) or 'none'}", *([f"with {', '.join(also)}"] if also else [])]
    return f"<div>{caption}{TextTable(['row', *head], body).to_html()}{html_lines(about)}</div>"


def _label_text(factor: Factor, value: float) -> str:
    """Return the name or physical value of a label where the factor has one, otherwise its number."""
    if np.isnan(value) or (factor.size is not None and value < 0):
        return "—"
    if factor.size is None:
        return f"{value:.3g}"
    label = factor.values[int(value)] if factor.values else int(value)
    return label if isinstance(label, str) else f"{label:.4g}"
