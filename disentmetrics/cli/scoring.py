"""``score`` and ``encode``: an encoder on a data set, or a table of codes."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from disentmetrics.cli.base import JobsOption, JsonOption, QuietOption, SeedOption, app, check_output
from disentmetrics.cli.console import err, out, print_json
from disentmetrics.datasets import load_dataset
from disentmetrics.datasets.base import DataSet
from disentmetrics.encoders.encode import DEFAULT_SAMPLES, encode as encode_rows
from disentmetrics.encoders.registry import open_encoder
from disentmetrics.errors import InvalidInputError
from disentmetrics.factors import KINDS, parse_kind
from disentmetrics.representation import Representation
from disentmetrics.results.card import ScoreCard
from disentmetrics.scoring.presets import ALL, PRESETS, parse
from disentmetrics.scoring.score import score as score_representation
from disentmetrics.scoring.uncertainty import IntervalMethod


class IntervalChoice(StrEnum):
    """How rows are resampled for intervals."""

    JACKKNIFE = "jackknife"
    HALF_SAMPLING = "half-sampling"
    NONE = "none"


_INTERVALS: dict[IntervalChoice, IntervalMethod | None] = {
    IntervalChoice.JACKKNIFE: "jackknife",
    IntervalChoice.HALF_SAMPLING: "half-sampling",
    IntervalChoice.NONE: None,
}


EncoderArgument = Annotated[
    str | None,
    typer.Argument(
        metavar="ENCODER",
        help="scheme:target, such as [bold]baseline:pca[/], [bold]onnx:model.onnx[/] or "
        "[bold]torch:model.py:build?weights=w.pt[/]; see [bold]disentmetrics adapters[/].",
    ),
]
DataOption = Annotated[
    str | None,
    typer.Option("--data", metavar="DATASET", help="Data set to encode, such as dsprites or dsprites:file.npz."),
]
EVERY = "all"


def parse_samples(text: str | int) -> int | str:
    """Return a number of rows, or ``all``; raise typer.BadParameter if it is neither."""
    if str(text).strip().lower() == EVERY:
        return EVERY
    digits = str(text).strip().replace("_", "")
    if not digits.isdecimal() or int(digits) < 1:
        raise typer.BadParameter(f"it must be a whole number from 1, or {EVERY}; got {text!r}")
    return int(digits)


SamplesOption = Annotated[
    Any,
    typer.Option(
        "--samples",
        metavar="N|all",
        parser=parse_samples,
        help=f"Number of distinct rows to draw (default {DEFAULT_SAMPLES:,}), or all of them.",
    ),
]
FullGridOption = Annotated[
    bool, typer.Option("--full-grid", help="Encode every combination of factors, or every row; same as --samples all.")
]
BatchOption = Annotated[
    int, typer.Option("--batch-size", min=1, help="Number of observations per call of the encoder.")
]
NoCacheOption = Annotated[bool, typer.Option("--no-cache", help="Disable the code cache.")]
TrustOption = Annotated[
    bool,
    typer.Option(
        "--trust-pickle",
        help="Allow pickles of the schemes sklearn and torch, and TorchScript archives that do more than tensor "
        "arithmetic. They can execute arbitrary code; use only for files you trust.",
    ),
]


DeviceOption = Annotated[
    str | None,
    typer.Option(
        help="Device that computes the codes, for schemes with the option device, such as reference and torch: cpu, "
        "cuda, cuda:1 or mps."
    ),
]


@app.command()
def score(
    encoder: EncoderArgument = None,
    data: DataOption = None,
    codes: Annotated[
        Path | None,
        typer.Option(
            "--codes",
            help="Score a table of codes and labels instead of an encoder: .npz, .csv, .tsv, .parquet, .xlsx, "
            ".h5ad, or .h5 from [bold]disentmetrics encode[/].",
        ),
    ] = None,
    metrics: Annotated[
        str,
        typer.Option(
            help=f"Presets ({', '.join((*PRESETS, ALL))}) and metrics, separated by commas, such as "
            "robust,mig@chen2018."
        ),
    ] = "default",
    samples: SamplesOption = None,
    full_grid: FullGridOption = False,
    code_columns: Annotated[
        str | None,
        typer.Option(help="Columns with the codes: a key of an .npz, or names and patterns such as 'PC*,z?'."),
    ] = None,
    factor_columns: Annotated[
        str | None, typer.Option(help="Columns with the factors: a key of an .npz, or names and patterns.")
    ] = None,
    log_variance_columns: Annotated[
        str | None, typer.Option(help="Columns with the log-variances: a key of an .npz, or names and patterns.")
    ] = None,
    kl_columns: Annotated[
        str | None,
        typer.Option(help="Columns with the KL from the model's own prior, where it is not N(0, 1): as the codes."),
    ] = None,
    categorical_codes: Annotated[
        str | None, typer.Option(help="Names and patterns of latents whose values are categories.")
    ] = None,
    groups: Annotated[str | None, typer.Option(help="Column with the cluster of each row, such as donor.")] = None,
    weights: Annotated[str | None, typer.Option(help="Column with the weight of each row.")] = None,
    sequential: Annotated[
        bool,
        typer.Option("--sequential", help="Rows are consecutive in time, within each group if there are groups."),
    ] = False,
    sheet: Annotated[str | None, typer.Option(help="Sheet of an .xlsx (default: the first).")] = None,
    max_gigabytes: Annotated[
        float | None, typer.Option(metavar="X", help="Memory that a column of a table may take (default: 4).")
    ] = None,
    separator: Annotated[str | None, typer.Option(help="Column separator of a .csv (default: detected).")] = None,
    kind: Annotated[
        list[str] | None,
        typer.Option(
            help=f"Kind of a factor, as name=kind; kinds: {', '.join(KINDS)}, or circular with a period, such as "
            "hour=circular:24. May be repeated."
        ),
    ] = None,
    missing: Annotated[
        list[str] | None,
        typer.Option(
            help="Text or number that marks a missing label, in addition to NA, nan, null, ? and the like. May be "
            "repeated."
        ),
    ] = None,
    interval: Annotated[
        IntervalChoice, typer.Option(help="Resampling of rows for 95 % intervals.")
    ] = IntervalChoice.JACKKNIFE,
    null: Annotated[
        bool, typer.Option("--null/--no-null", help="Permute rows for the null, the adjusted score and p.")
    ] = True,
    seed: SeedOption = 0,
    jobs: JobsOption = -1,
    batch_size: BatchOption = 256,
    device: DeviceOption = None,
    out_file: Annotated[
        Path | None, typer.Option("--out", "-o", help="Write the score card as JSON to this file.")
    ] = None,
    as_json: JsonOption = False,
    signatures: Annotated[
        bool, typer.Option("--signatures", help="Print the complete signature of each metric.")
    ] = False,
    no_cache: NoCacheOption = False,
    trust_pickle: TrustOption = False,
    quiet: QuietOption = False,
) -> None:
    """Score an encoder on a data set, or a table of codes and labels.

    [bold]Examples[/]

      disentmetrics score baseline:pca --data dsprites --samples 20000

      disentmetrics score "torch:model.py:build?weights=w.pt&select=0,1" --data dsprites --out card.json

      disentmetrics score "exec:python my_encoder.py" --data dsprites --samples 2000

      disentmetrics score --codes codes.npz --metrics mig,factorvae@kim2018

      disentmetrics score --codes cells.csv --code-columns 'PC*' --factor-columns type,donor --groups donor
    """
    names = parse(metrics)
    check_output(out_file)
    if (encoder is None) == (codes is None):
        raise InvalidInputError(
            "either an encoder with --data or a table with --codes must be given; "
            f"got {'neither' if encoder is None else 'both'}; see disentmetrics score --help"
        )
    table_options = {
        "--code-columns": code_columns,
        "--factor-columns": factor_columns,
        "--log-variance-columns": log_variance_columns,
        "--kl-columns": kl_columns,
        "--categorical-codes": categorical_codes,
        "--groups": groups,
        "--weights": weights,
        "--sequential": sequential,
        "--sheet": sheet,
        "--max-gigabytes": max_gigabytes,
        "--separator": separator,
        "--kind": kind,
        "--missing": missing,
    }
    if codes is not None:
        of_encoders = {"--data": data, "--samples": samples, "--full-grid": full_grid or None}
        _refuse("--codes", {**of_encoders, "--trust-pickle": trust_pickle or None, "--device": device})
        if codes.suffix == ".h5":
            _refuse("a file of disentmetrics encode, which contains it", table_options)
            representation = Representation.load(codes)
        else:
            columns = {
                "codes": _selection(code_columns),
                "factors": _selection(factor_columns),
                "log_variance": _selection(log_variance_columns),
                "kl": _selection(kl_columns),
                "categorical_codes": _selection(categorical_codes),
                "groups": groups,
                "weights": weights,
                "sequential": sequential,
                "sheet": sheet,
                "max_gigabytes": max_gigabytes,
                "separator": separator,
                "kinds": _kinds(kind),
                "missing": missing or None,
            }
            representation = Representation.from_table(codes, **columns)
            for sentence in () if quiet else representation.inference:
                err.print(sentence, style="dim", highlight=False, markup=False, soft_wrap=True)
    else:
        _refuse("an encoder", table_options)
        representation = _encode(
            str(encoder),
            data,
            samples,
            full_grid=full_grid,
            seed=seed,
            batch_size=batch_size,
            cache=not no_cache,
            trust_pickle=trust_pickle,
            device=device,
            quiet=quiet,
        )
    card = score_representation(
        representation,
        names,
        seed=seed,
        interval=_INTERVALS[interval],
        null=null,
        n_jobs=jobs,
        progress=not quiet and err.is_terminal,
    )
    if out_file is not None:
        card.to_json(out_file)
    if as_json:
        print_json(card.to_json())
    else:
        _show_card(card, full_signatures=signatures)
        if out_file is not None and not quiet:
            err.print(f"score card written to {out_file}", highlight=False, markup=False, soft_wrap=True)


@app.command()
def encode(
    encoder: Annotated[str, typer.Argument(metavar="ENCODER", help="scheme:target; see disentmetrics adapters.")],
    data: Annotated[str, typer.Option("--data", metavar="DATASET", help="Data set to encode.")],
    out_file: Annotated[Path, typer.Option("--out", "-o", help="File to write, .h5; score it with --codes.")],
    samples: SamplesOption = None,
    full_grid: FullGridOption = False,
    seed: SeedOption = 0,
    batch_size: BatchOption = 256,
    device: DeviceOption = None,
    no_cache: NoCacheOption = False,
    trust_pickle: TrustOption = False,
    quiet: QuietOption = False,
) -> None:
    """Encode a data set and write codes and factors to one file.

    [bold]Example[/]

      disentmetrics encode onnx:model.onnx --data dsprites --full-grid --out codes.h5
    """
    if out_file.suffix != ".h5":
        raise InvalidInputError(f"--out must name an HDF5 file that ends in .h5; got {out_file}")
    check_output(out_file)
    representation = _encode(
        encoder,
        data,
        samples,
        full_grid=full_grid,
        seed=seed,
        batch_size=batch_size,
        cache=not no_cache,
        trust_pickle=trust_pickle,
        device=device,
        quiet=quiet,
    )
    representation.save(out_file)
    if not quiet:
        err.print(f"{representation} written to {out_file}", highlight=False, markup=False, soft_wrap=True)


def _encode(
    encoder: str,
    data: str | None,
    requested: int | str | None,
    *,
    full_grid: bool,
    seed: int,
    batch_size: int,
    cache: bool,
    trust_pickle: bool,
    device: str | None,
    quiet: bool,
) -> Representation:
    if data is None:
        raise InvalidInputError("an encoder needs observations; give --data, such as --data dsprites")
    if full_grid and requested is not None:
        raise InvalidInputError("either --samples or --full-grid must be given; got both")
    samples = requested if isinstance(requested, int) else None
    full_grid = full_grid or requested == EVERY
    loaded: DataSet = load_dataset(data)
    n_rows = _n_rows(loaded)
    if samples is not None and n_rows is not None and samples > n_rows and not loaded.nuisances:
        raise InvalidInputError(f"--samples must be at most {n_rows:,}, the rows of {data}; got {samples:,}")
    with open_encoder(encoder, data=loaded, seed=seed, trust_pickle=trust_pickle, device=device) as opened:
        return encode_rows(
            opened,
            loaded,
            n_samples=samples,
            full_grid=full_grid,
            seed=seed,
            batch_size=batch_size,
            cache=cache,
            progress=not quiet and err.is_terminal,
        )


def _n_rows(data: DataSet) -> int | None:
    """Return the number of rows; None if it is unlimited: continuous or unequally likely factors."""
    return len(data) if data.has_full_grid else None


def _selection(text: str | None) -> str | list[str] | None:
    if text is None or "," not in text:
        return text
    return [name.strip() for name in text.split(",") if name.strip()]


def _kinds(given: list[str] | None) -> dict[str, str] | None:
    kinds = {}
    for pair in given or ():
        name, equals, kind = pair.rpartition("=")
        if not equals:
            raise InvalidInputError(f"--kind must be name=kind with a kind of {', '.join(KINDS)}; got {pair!r}")
        try:
            parse_kind(kind)
        except InvalidInputError as error:
            raise InvalidInputError(f"--kind {pair}: {error}") from None
        kinds[name] = kind
    return kinds or None


def _refuse(what: str, options: dict[str, Any]) -> None:
    for option, value in options.items():
        if value:
            raise InvalidInputError(f"{option} cannot be combined with {what}; leave it out")


def _show_card(card: ScoreCard, *, full_signatures: bool) -> None:
    for line in card.verdict_lines():
        out.print(line, highlight=False, markup=False)
    scores, *by_factor = card.tables()
    out.print(scores)
    for line in card.footnotes():
        out.print(line, highlight=False, markup=False)
    out.print()
    for table in by_factor:
        out.print(table)
        out.print()
    for line in card.remarks():
        out.print(f"• {line}", highlight=False, markup=False)
    for line in [*card.factor_lines(), *card.signature_lines(full=full_signatures)]:
        out.print(line, style="dim", highlight=False, markup=False, soft_wrap=True)
