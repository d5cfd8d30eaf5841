"""Program that reads one sheet of an Excel file, apart from the main program: ``python _excel.py FILE SHEET BYTES``.

Its parser ends its process where a file claims more cells than there is memory for. It writes a line of JSON, with the
names of the sheets and the first row of the sheet, then the rows below it in Arrow's IPC format.
"""

import contextlib
import json
import sys
from typing import Any


def _limit_memory(n_bytes: int) -> None:
    with contextlib.suppress(ImportError, ValueError, OSError):  # there is no such limit on every system
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (n_bytes, n_bytes))


def main() -> None:
    """Write what the file contains, or ``{"error": ...}``, to standard output."""
    path, sheet, n_bytes = sys.argv[1:]
    _limit_memory(int(n_bytes))
    import fastexcel
    import polars as pl

    about: dict[str, Any] = {}
    frame = pl.DataFrame()
    try:
        book = fastexcel.read_excel(path)
        sheets = book.sheet_names
        if sheet and sheet not in sheets:
            about = {"sheets": sheets}
        else:
            chosen = sheets.index(sheet) if sheet else 0
            # the header is read separately, since fastexcel would rename duplicates
            titles = book.load_sheet(chosen, header_row=None, n_rows=1, dtypes="string").to_polars()
            header = [(title or "").strip() for title in (titles.row(0) if len(titles) else ())]
            named = [j for j, title in enumerate(header) if title]
            # types are inferred from all rows: text below the first thousand numbers would be lost
            if named:
                frame = book.load_sheet(chosen, use_columns=named, schema_sample_rows=None).to_polars()
                frame = frame.filter(~pl.all_horizontal(pl.all().is_null()))
                frame.columns = [str(j) for j in range(frame.width)]
            about = {"sheets": sheets, "header": header}
    except (fastexcel.FastExcelError, pl.exceptions.PolarsError, IndexError, ValueError) as error:
        about, frame = {"error": str(error) or type(error).__name__}, pl.DataFrame()
    sys.stdout.buffer.write(json.dumps(about).encode() + b"\n")
    frame.write_ipc(sys.stdout.buffer)


if __name__ == "__main__":
    main()
