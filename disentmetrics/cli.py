"""The command line: it reads arguments, calls the verbs and shows results."""

import errno
import importlib
import inspect
import io
import json
import logging
import math
import os
import re
import sys
import textwrap
from collections.abc import Callable, Sequence
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from disentmetrics._version import __version__
from disentmetrics.adapter import find_adapters, load_adapter, opened_encoder
from disentmetrics.cache import cache_entries, cache_folder, clear_cache
from disentmetrics.compare import compare as compare_cards
from disentmetrics.datasets import list_datasets, load_dataset
from disentmetrics.datasets.base import DataSet
from disentmetrics.datasets.registry import DataSetSpec
from disentmetrics.demo import WIDE, leaderboard, run_demo
from disentmetrics.encode import encode as encode_rows
from disentmetrics.errors import DisentmetricsError, EncoderError, InvalidInputError
from disentmetrics.factors import KINDS
from disentmetrics.metric import Metric, registered_metrics
from disentmetrics.metrics import find_metric
from disentmetrics.presets import ALL, PRESETS, expand, parse
from disentmetrics.progress import err, tracked
from disentmetrics.representation import Representation
from disentmetrics.result import ScoreCard
from disentmetrics.score import score as score_representation
from disentmetrics.testing import CASES, axiom_rows, axiom_table, check_metric
from disentmetrics.udr import udr as rank_models
from disentmetrics.uncertainty import IntervalMethod

OK, CHECK_FAILED, WRONG_INPUT, ENCODER_FAILED, INTERRUPTED = 0, 1, 2, 3, 130
DEFAULT_SAMPLES = 20_000
_UNBOUNDED = 10_000  # columns
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO}
_FULL_LINE = 60  # a shorter one ends its paragraph

app = typer.Typer(
    name="disentmetrics",
    help="Score any encoder for disentanglement, with numbers that can be trusted and compared.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
)
datasets_app = typer.Typer(help="Data sets with known factors.", no_args_is_help=False)
metrics_app = typer.Typer(help="Metrics, their protocols and what is known of them.")
adapters_app = typer.Typer(help="Encoder schemes: how to name an encoder of any framework.")
cache_app = typer.Typer(help="Codes and data sets that are kept to save time.")
app.add_typer(datasets_app, name="datasets")
app.add_typer(metrics_app, name="metrics")
app.add_typer(adapters_app, name="adapters")
app.add_typer(cache_app, name="cache")


class _Output(Console):
    """Standard output: as wide as the terminal, and without bounds into a file or a pipe."""

    def on_broken_pipe(self) -> NoReturn:
        """Stop quietly when the reader of a pipe has left."""
        _drop_output()
        raise SystemExit(OK)


out = _Output()


class UdrVariant(StrEnum):
    """How codes of two models are matched."""

    SPEARMAN = "spearman"
    LASSO = "lasso"


class TableFormat(StrEnum):
    """How to print a table."""

    TABLE = "table"
    MARKDOWN = "markdown"
    JSON = "json"


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


def _jobs(value: int) -> int:
    if value == 0:
        raise InvalidInputError("--jobs must be a number from 1, or -1 for one a processor; got 0")
    return value


EncoderArgument = Annotated[
    str | None,
    typer.Argument(
        metavar="ENCODER",
        help="scheme:target, such as [bold]baseline:pca[/], [bold]onnx:model.onnx[/] or "
        "[bold]torch:model.py:build?weights=w.pt[/]; see [bold]disentmetrics adapters[/].",
    ),
]
DataSetArgument = Annotated[str, typer.Argument(metavar="NAME", help="Data set, such as dsprites.")]
MetricArgument = Annotated[str, typer.Argument(metavar="NAME", help="Metric, such as mig or factorvae.")]
SchemeArgument = Annotated[str, typer.Argument(metavar="SCHEME", help="Encoder scheme, such as torch or onnx.")]
DataOption = Annotated[
    str | None,
    typer.Option("--data", metavar="DATASET", help="Data set to encode, such as dsprites or dsprites:file.npz."),
]
SamplesOption = Annotated[
    int | None,
    typer.Option("--samples", min=1, help=f"Distinct rows to draw (default {DEFAULT_SAMPLES:,})."),
]
FullGridOption = Annotated[bool, typer.Option("--full-grid", help="Encode every combination of factors.")]
SeedOption = Annotated[int, typer.Option(min=0, help="Decides every random draw.")]
BatchOption = Annotated[int, typer.Option("--batch-size", min=1, help="Observations in a call of the encoder.")]
NoCacheOption = Annotated[bool, typer.Option("--no-cache", help="Neither read nor keep codes.")]
TrustOption = Annotated[
    bool,
    typer.Option("--trust-pickle", help="Let pickles be read. A pickle can run any code: only for files of yours."),
]
QuietOption = Annotated[bool, typer.Option("--quiet", "-q", help="No progress bar and no remarks.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON on standard output, for machines.")]
JobsOption = Annotated[
    int,
    typer.Option("--jobs", "-j", callback=_jobs, help="Threads; -1 for one a processor. Numbers stay equal."),
]


def _version(value: bool) -> None:
    if value:
        out.print(f"disentmetrics {__version__}", highlight=False)
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and stop.")
    ] = False,
) -> None:
    """Score any encoder for disentanglement, with numbers that can be trusted and compared."""


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
            help=f"Presets ({', '.join((*PRESETS, ALL))}) and names, with commas: robust,mcc,dci@locatello2019."
        ),
    ] = "default",
    samples: SamplesOption = None,
    full_grid: FullGridOption = False,
    code_columns: Annotated[
        str | None, typer.Option(help="Codes of the table: a key of an .npz, or names and patterns: 'PC*,z?'.")
    ] = None,
    factor_columns: Annotated[
        str | None, typer.Option(help="Factors of the table: a key of an .npz, or names and patterns.")
    ] = None,
    log_variance_columns: Annotated[
        str | None, typer.Option(help="Log-variances of the table: a key of an .npz, or names and patterns.")
    ] = None,
    groups: Annotated[str | None, typer.Option(help="Column that names clusters of rows, such as donor.")] = None,
    weights: Annotated[str | None, typer.Option(help="Column that weighs rows.")] = None,
    sequential: Annotated[
        bool,
        typer.Option("--sequential", help="Rows follow each other in time, within each group if there are groups."),
    ] = False,
    sheet: Annotated[str | None, typer.Option(help="Sheet of an .xlsx; the first by default.")] = None,
    separator: Annotated[str | None, typer.Option(help="Between the columns of a .csv; detected by default.")] = None,
    kind: Annotated[
        list[str] | None,
        typer.Option(help=f"Kind of a factor, as name=kind; kinds: {', '.join(KINDS)}. May be repeated."),
    ] = None,
    interval: Annotated[
        IntervalChoice, typer.Option(help="How rows are resampled for 95 % intervals.")
    ] = IntervalChoice.JACKKNIFE,
    null: Annotated[bool, typer.Option("--null/--no-null", help="Permute rows for null and p-value.")] = True,
    seed: SeedOption = 0,
    jobs: JobsOption = -1,
    batch_size: BatchOption = 256,
    out_file: Annotated[
        Path | None, typer.Option("--out", "-o", help="Write the score card as JSON to this file.")
    ] = None,
    as_json: JsonOption = False,
    no_cache: NoCacheOption = False,
    trust_pickle: TrustOption = False,
    quiet: QuietOption = False,
) -> None:
    """Score an encoder on a data set, or a table of codes and labels.

    [bold]Examples[/]

      disentmetrics score baseline:pca --data dsprites --samples 20000

      disentmetrics score "torch:model.py:build?weights=w.safetensors" --data dsprites --out card.json

      disentmetrics score "exec:python my_encoder.py" --data dsprites --samples 2000

      disentmetrics score --codes codes.npz --metrics mig,factorvae@kim2018

      disentmetrics score --codes cells.csv --code-columns 'PC*' --factor-columns type,donor --groups donor
    """
    names = parse(metrics)
    _check_output(out_file)
    if (encoder is None) == (codes is None):
        raise InvalidInputError(
            "either an encoder with --data or a table with --codes must be given; "
            f"got {'neither' if encoder is None else 'both'}; see disentmetrics score --help"
        )
    table_options = {
        "--code-columns": code_columns,
        "--factor-columns": factor_columns,
        "--log-variance-columns": log_variance_columns,
        "--groups": groups,
        "--weights": weights,
        "--sequential": sequential,
        "--sheet": sheet,
        "--separator": separator,
        "--kind": kind,
    }
    if codes is not None:
        _refuse("--codes", {"--data": data, "--samples": samples, "--full-grid": full_grid or None})
        if codes.suffix == ".h5":
            _refuse("a file of disentmetrics encode, which says it", table_options)
            representation = Representation.load(codes)
        else:
            representation = Representation.from_table(
                codes,
                codes=_selection(code_columns),
                factors=_selection(factor_columns),
                log_variance=_selection(log_variance_columns),
                groups=groups,
                weights=weights,
                sequential=sequential,
                sheet=sheet,
                separator=separator,
                kinds=_kinds(kind),
            )
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
        _print_json(card.to_json())
    else:
        _show_card(card)
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
    no_cache: NoCacheOption = False,
    trust_pickle: TrustOption = False,
    quiet: QuietOption = False,
) -> None:
    """Encode a data set once and keep codes and factors in one file.

    [bold]Example[/]

      disentmetrics encode onnx:model.onnx --data dsprites --full-grid --out codes.h5
    """
    if out_file.suffix != ".h5":
        raise InvalidInputError(f"--out must name a file that ends in .h5, as HDF5 is written; got {out_file}")
    _check_output(out_file)
    representation = _encode(
        encoder,
        data,
        samples,
        full_grid=full_grid,
        seed=seed,
        batch_size=batch_size,
        cache=not no_cache,
        trust_pickle=trust_pickle,
        quiet=quiet,
    )
    representation.save(out_file)
    if not quiet:
        err.print(f"{representation} written to {out_file}", highlight=False, markup=False, soft_wrap=True)


@app.command()
def compare(
    first: Annotated[Path, typer.Argument(help="A score card in JSON.")],
    second: Annotated[Path, typer.Argument(help="Another one, scored on the same rows with the same seed.")],
    as_json: JsonOption = False,
) -> None:
    """Compare two encoders by their score cards, paired on the same rows.

    [bold]Example[/]

      disentmetrics compare pca.json ica.json
    """
    cards = ScoreCard.from_json(first), ScoreCard.from_json(second)
    names = (first.stem, second.stem) if first.stem != second.stem else (str(first), str(second))
    comparison = compare_cards(*cards, names=names)
    if as_json:
        _print_json(comparison.to_json())
        return
    out.print(comparison.table())
    for line in comparison.skipped:
        out.print(f"• {line}", markup=False, highlight=False)


@app.command()
def udr(
    models: Annotated[
        list[Path], typer.Argument(help="Files of disentmetrics encode: the same rows, two or more models.")
    ],
    variant: Annotated[UdrVariant, typer.Option(help="How codes of two models are matched.")] = UdrVariant.SPEARMAN,
    partners: Annotated[
        int | None, typer.Option(min=1, help="Partners to draw for each model; all others by default.")
    ] = None,
    seed: SeedOption = 0,
    as_json: JsonOption = False,
) -> None:
    """Rank trained models without labels, by how well their codes match (UDR).

    [bold]Example[/]

      for seed in 0 1 2 3 4; do disentmetrics encode onnx:run$seed.onnx --data dsprites -o run$seed.h5; done

      disentmetrics udr run*.h5
    """
    result = rank_models(
        [Representation.load(path) for path in models],
        variant=variant.value,
        n_partners=partners,
        names=[path.stem for path in models],
        seed=seed,
    )
    if as_json:
        scores = {
            name: None if math.isnan(score) else score for name, score in zip(result.names, result.scores, strict=True)
        }
        _print_json({"scores": scores, "signature": result.signature})
        return
    out.print(result.table())
    out.print(result.signature, style="dim", highlight=False, markup=False, soft_wrap=True)


@app.command()
def demo(
    out_folder: Annotated[Path, typer.Option("--out", "-o", help="Folder for the score cards.")] = Path("demo"),
    samples: Annotated[int, typer.Option(min=200, help="Rows of dSprites to score on.")] = 5_000,
    seed: SeedOption = 0,
    jobs: Annotated[
        int,
        typer.Option("--jobs", "-j", callback=_jobs, help="Processes; -1 for one a processor. Numbers stay equal."),
    ] = -1,
) -> None:
    """Score five baseline encoders on dSprites and print the leaderboard.

    [bold]Example[/]

      disentmetrics demo --out cards
    """
    _check_output(out_folder / "pca.json")
    err.print("scoring five baseline encoders on dSprites, about half a minute", highlight=False)
    entries = []
    for entry in run_demo(out_folder, n_samples=samples, seed=seed, n_jobs=jobs, progress=err.is_terminal):
        entries.append(entry)
        err.print(f"scored {entry.encoder} in {entry.seconds:.1f} s", highlight=False)
    out.print()
    out.print(leaderboard(entries))
    out.print(
        "",
        f"{samples:,} random dSprites images, 95 % intervals (none above {WIDE} codes, to save time).",
        "A random code scores 0 on mig and 1/5 on the others.",
        f"Score cards: {out_folder}/*.json. Next:",
        f"  disentmetrics compare {out_folder / 'pca.json'} {out_folder / 'ica.json'}",
        sep="\n",
        highlight=False,
        markup=False,
        soft_wrap=True,
    )


@datasets_app.callback(invoke_without_command=True)
def _datasets(context: typer.Context) -> None:
    """List data sets, describe one, or fetch its files."""
    if context.invoked_subcommand is None:
        datasets_list()


@datasets_app.command("list")
def datasets_list(as_json: JsonOption = False) -> None:
    """List all data sets."""
    found = list_datasets()
    if as_json:
        _print_json([{**asdict(info), "space": _factors_of(info.space)} for info in found])
        return
    rows = [
        (info.name, f"{info.space.n_combinations:,}", _sizes(info.space), "yes" if info.offline else "no", info.licence)
        for info in found
    ]
    _print_table(("name", "observations", "factors", "offline", "licence"), rows)


@datasets_app.command("info")
def datasets_info(name: DataSetArgument) -> None:
    """Describe one data set: factors, licence, citation, remarks."""
    found = {info.name: info for info in list_datasets()}
    name = DataSetSpec.parse(name).name
    if name not in found:
        load_dataset(name)  # says which names there are
    info = found[name]
    out.print(f"[bold]{info.name}[/]: {escape(info.summary)}", highlight=False)
    _print_table(("factor", "values", "kind"), [(f.name, str(f.size or "real"), f.kind) for f in info.space])
    for heading, text in (("licence", info.licence), ("cite", info.citation), *(("note", r) for r in info.remarks)):
        out.print(f"{heading}: {text}", highlight=False, markup=False)


@datasets_app.command("fetch")
def datasets_fetch(name: DataSetArgument, quiet: QuietOption = False) -> None:
    """Download and verify a data set, or render it into the cache."""
    data = load_dataset(name)
    prepare = getattr(data, "prepare", None)
    if prepare is not None:
        prepare(progress=not quiet and err.is_terminal)
    if not quiet:
        err.print(f"{data.name} ({data.fingerprint}) is ready", highlight=False)


@metrics_app.callback(invoke_without_command=True)
def _metrics(context: typer.Context) -> None:
    """List metrics, or describe one."""
    if context.invoked_subcommand is None:
        metrics_list()


@metrics_app.command("list")
def metrics_list(as_json: JsonOption = False) -> None:
    """List all metrics with their protocols."""
    found = registered_metrics()
    if as_json:
        _print_json(
            [
                {
                    "name": metric.name,
                    "family": metric.family,
                    "needs": asdict(metric.needs),
                    "parts": list(metric.parts),
                    "bounds": metric.bounds,
                    "higher_is_better": metric.higher_is_better,
                    "paper": metric.paper,
                    "known_failure": metric.known_failure,
                    "protocols": {name: protocol.source for name, protocol in metric.protocols.items()},
                }
                for metric in found.values()
            ]
        )
        return
    rows = [
        (
            name,
            metric.family,
            _short(metric.paper),
            _needs(metric),
            ", ".join(metric.protocols),
        )
        for name, metric in sorted(found.items(), key=lambda pair: (pair[1].family, pair[0]))
    ]
    _print_table(("name", "family", "paper", "needs", "protocols"), rows)
    out.print("\npresets, for --metrics:")
    _print_table(("name", "what it is", "metrics"), [(n, p.about, ", ".join(p.metrics)) for n, p in PRESETS.items()])


def _short(paper: str) -> str:
    """Return authors and year."""
    found = re.match(r".*?\(\d{4}\)", paper)
    return found.group() if found else paper.partition(";")[0]


def _needs(metric: Metric) -> str:
    """Say what a representation must have, beyond a code and a factor."""
    needs = metric.needs
    counts = ((needs.codes, "codes"), (needs.factors, "factors"))
    wanted = [f"{least} {what}" for least, what in counts if least > 1]
    wanted += ["no factors"] if needs.factors == 0 else []
    wanted += ["log-variance"] if needs.log_variance else []
    wanted += [
        f"log-variance (@{name})" for name, other in metric.needs_of.items() if other.log_variance > needs.log_variance
    ]
    return ", ".join(wanted) or "–"


@metrics_app.command("axioms")
def metrics_axioms(
    metrics: Annotated[
        str | None,
        typer.Option(help="Presets and names with commas; by default every quick metric's default protocol."),
    ] = None,
    rows: Annotated[int, typer.Option(min=100, help="Rows of each representation.")] = 6_000,
    seeds: Annotated[int, typer.Option(min=1, help="Representations averaged in each cell.")] = 2,
    form: Annotated[TableFormat, typer.Option("--format", help="How to print.")] = TableFormat.TABLE,
    quiet: QuietOption = False,
) -> None:
    """Measure what each metric says of 14 representations whose worth is known, and which axioms it keeps."""
    if metrics is None:
        every = registered_metrics().values()
        chosen = [(metric, "default") for metric in every if not metric.protocol("default").costly]
    else:
        chosen = [find_metric(name) for name in expand(metrics, posterior=True)]
    measured = axiom_rows(chosen, n_rows=rows, n_seeds=seeds)
    found = list(tracked(measured, len(chosen), "scoring", shown=not quiet and err.is_terminal))
    if form is TableFormat.MARKDOWN:
        out.print(axiom_table(found), highlight=False, markup=False, soft_wrap=True)
    elif form is TableFormat.JSON:
        _print_json(
            [
                {"name": row.name, "values": dict(zip(CASES, row.values, strict=True)), "axioms": row.kept}
                for row in found
            ]
        )
    else:
        cells = [(row.name, *("–" if v is None else f"{v:z.2f}" for v in row.values)) for row in found]
        _print_table(("metric", *CASES), cells)
        out.print()
        _print_table(("case", "codes"), [(name, about) for name, (about, _) in CASES.items()])
        out.print()
        _print_table(("metric", "axioms kept"), [(row.name, " ".join(row.kept)) for row in found])


@metrics_app.command("check")
def metrics_check(
    name: Annotated[
        str, typer.Argument(metavar="NAME", help="Metric, metric@protocol, or package.module:function of your own.")
    ],
    seed: SeedOption = 0,
) -> None:
    """Put a metric to the test: which invariances hold, which defects it detects, where it breaks.

    A function of your own takes codes (n_samples, n_codes) and factors (n_samples, n_factors) and returns a float.
    """
    findings = check_metric(_function(name), seed=seed) if ":" in name else check_metric(*find_metric(name), seed=seed)
    _print_table(
        ("axiom", "property", "", "moved by", "on"),
        [
            (f.axiom, f.name, f.verdict, f"{f.largest_move:.4f}", f.example)
            for f in sorted(findings, key=lambda f: int(f.axiom[1:]))
        ],
    )


def _function(name: str) -> Callable[..., Any]:
    module, _, attribute = name.partition(":")
    sys.path.insert(0, str(Path.cwd()))
    try:
        function: Callable[..., Any] = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        raise InvalidInputError(f"{name} must be package.module:function; it cannot be imported ({error})") from error
    return function


@metrics_app.command("info")
def metrics_info(name: MetricArgument) -> None:
    """Explain one metric: formula, range, source, protocols, known failure."""
    metric, _ = find_metric(name)
    out.print(f"[bold]{metric.name}[/]", highlight=False)
    _print_text(inspect.getdoc(metric) or "")
    out.print(f"\nknown failure: {metric.known_failure}\n", highlight=False, markup=False)
    rows = [
        (key, p.source, ", ".join(sorted(p.invariant_to)), ", ".join(sorted(p.detects)))
        for key, p in metric.protocols.items()
    ]
    _print_table(("protocol", "source", "not changed by", "detects"), rows)


@adapters_app.callback(invoke_without_command=True)
def _adapters(context: typer.Context) -> None:
    """List encoder schemes, or explain one."""
    if context.invoked_subcommand is None:
        adapters_list()


@adapters_app.command("list")
def adapters_list(as_json: JsonOption = False) -> None:
    """List all encoder schemes that are installed."""
    found = [load_adapter(scheme) for scheme in sorted(find_adapters())]
    if as_json:
        _print_json([{"scheme": a.scheme, "from": a.origin, "summary": a.summary} for a in found])
        return
    _print_table(("scheme", "what it loads", "from"), [(a.scheme, a.summary, a.origin) for a in found])


@adapters_app.command("info")
def adapters_info(scheme: SchemeArgument) -> None:
    """Explain one scheme and its options."""
    adapter = load_adapter(scheme)
    out.print(f"[bold]{adapter.scheme}[/]", highlight=False)
    _print_text(adapter.help)


@cache_app.callback(invoke_without_command=True)
def _cache(context: typer.Context) -> None:
    """List what is cached, or clear it."""
    if context.invoked_subcommand is None:
        cache_list()


@cache_app.command("list")
def cache_list(as_json: JsonOption = False) -> None:
    """List cached files and their sizes."""
    found = cache_entries()
    if as_json:
        _print_json([{"path": str(entry.path), "bytes": entry.n_bytes} for entry in found])
        return
    _print_table(("file", "MB"), [(str(e.path.relative_to(cache_folder())), f"{e.n_bytes / 1e6:,.1f}") for e in found])
    total = sum(entry.n_bytes for entry in found) / 1e6
    out.print(f"{len(found)} files, {total:,.1f} MB in {cache_folder()}", highlight=False, markup=False)


@cache_app.command("clear")
def cache_clear() -> None:
    """Delete all cached files; they are made again when needed."""
    out.print(f"{clear_cache() / 1e6:,.1f} MB freed in {cache_folder()}", highlight=False, markup=False)


def _encode(
    encoder: str,
    data: str | None,
    samples: int | None,
    *,
    full_grid: bool,
    seed: int,
    batch_size: int,
    cache: bool,
    trust_pickle: bool,
    quiet: bool,
) -> Representation:
    if data is None:
        raise InvalidInputError("an encoder needs observations; give --data, such as --data dsprites")
    if full_grid and samples is not None:
        raise InvalidInputError("either --samples or --full-grid must be given; got both")
    loaded: DataSet = load_dataset(data)
    if samples is not None and samples > len(loaded):
        raise InvalidInputError(f"--samples must be at most {len(loaded):,}, the rows of {data}; got {samples:,}")
    if samples is None and not full_grid:
        samples = DEFAULT_SAMPLES
        if len(loaded) <= samples:
            samples, full_grid = None, True
            logging.getLogger("disentmetrics").info("%s has %d rows: all are encoded", data, len(loaded))
    with opened_encoder(encoder, data=loaded, seed=seed, trust_pickle=trust_pickle) as opened:
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


def _selection(text: str | None) -> str | list[str] | None:
    if text is None or "," not in text:
        return text
    return [name.strip() for name in text.split(",") if name.strip()]


def _kinds(given: list[str] | None) -> dict[str, Any] | None:
    kinds = {}
    for pair in given or ():
        name, equals, kind = pair.rpartition("=")
        if not equals or kind not in KINDS:
            raise InvalidInputError(f"--kind must be name=kind with a kind of {', '.join(KINDS)}; got {pair!r}")
        kinds[name] = kind
    return kinds or None


def _check_output(path: Path | None) -> None:
    """Refuse before the work what could not be written after it."""
    if path is None:
        return
    if path.is_dir():
        raise InvalidInputError(f"--out must name a file; {path} is a folder")
    parent = next(folder for folder in path.absolute().parents if folder.exists())
    if not parent.is_dir():
        raise InvalidInputError(f"--out must lie in a folder; {parent} is a file")
    if not os.access(parent, os.W_OK):
        raise InvalidInputError(f"--out must lie in a folder that can be written; {parent} cannot")


def _refuse(what: str, options: dict[str, Any]) -> None:
    for option, value in options.items():
        if value:
            raise InvalidInputError(f"{option} does not go with {what}; leave it out")


def _show_card(card: ScoreCard) -> None:
    for table in card.tables():
        out.print(table)
        out.print()
    for line in card.remarks():
        out.print(f"• {line}", highlight=False, markup=False)
    for name in card:
        out.print(card[name].signature, style="dim", highlight=False, markup=False, soft_wrap=True)


def _factors_of(space: Any) -> list[dict[str, Any]]:
    return [asdict(factor) for factor in space]


def _sizes(space: Any) -> str:
    return ", ".join(f"{factor.name} {factor.size or 'real'}" for factor in space)


def _print_table(headings: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> None:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in headings:
        table.add_column(heading, overflow="fold")
    for row in rows:
        table.add_row(*(escape(cell) for cell in row))
    out.print(table)


def _print_text(text: str) -> None:
    """Print a docstring; its long lines are filled anew where the terminal is narrower."""
    lines = text.splitlines()
    if max(map(len, lines), default=0) > out.width:
        lines = _filled(lines, out.width)
    out.print("\n".join(lines), highlight=False, markup=False, soft_wrap=True)


def _filled(lines: list[str], width: int) -> list[str]:
    joined: list[str] = []
    previous = ""
    for line in lines:
        goes_on = (
            len(previous) > _FULL_LINE and _indent(line) == _indent(previous) and not line.lstrip().startswith(">>>")
        )
        if line.strip() and goes_on:
            joined[-1] += f" {line.strip()}"
        else:
            joined.append(line)
        previous = line
    filled = []
    for line in joined:
        indent = " " * _indent(line)
        filled += textwrap.wrap(
            line.strip(),
            width,
            initial_indent=indent,
            subsequent_indent=indent,
            break_long_words=False,
            break_on_hyphens=False,
        ) or [""]
    return filled


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())


def _print_json(content: Any) -> None:
    plain = json.loads(content) if isinstance(content, str) else content
    text = json.dumps(plain, indent=1, ensure_ascii=not sys.stdout.encoding.lower().startswith("utf"))
    try:
        sys.stdout.write(text + "\n")
        sys.stdout.flush()
    except BrokenPipeError:
        out.on_broken_pipe()


class _Remarks(logging.Handler):
    """Shows what the library remarks on, above the progress bar if there is one."""

    def emit(self, record: logging.LogRecord) -> None:
        """Print the message alone."""
        err.print(record.getMessage(), style="dim", highlight=False, markup=False, soft_wrap=True)


def _prepare_streams() -> None:
    logger = logging.getLogger("disentmetrics")
    quiet = {"-q", "--quiet"} & set(sys.argv[1:])
    logger.handlers[:] = [_Remarks()]
    logger.setLevel(logging.ERROR if quiet else logging.INFO)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # what the terminal has no letter for
    if not out.is_terminal and "COLUMNS" not in os.environ:
        out.width = _UNBOUNDED


def main() -> None:
    """Run the command line; exit 0 fine, 1 a check failed, 2 wrong input, 3 an encoder failed."""
    _prepare_streams()
    try:
        code = app(prog_name="disentmetrics", standalone_mode=False)
        sys.stdout.flush()
    except (typer.Abort, KeyboardInterrupt):  # which of them depends on the version of typer, or it exits with 130
        code = INTERRUPTED
    except BrokenPipeError:
        out.on_broken_pipe()
    except Exception as error:
        sentence, code = _explained(error)
        if sentence:
            err.print(f"error: {sentence}", style="red", highlight=False, markup=False, soft_wrap=True)
        raise SystemExit(code) from error
    if code == INTERRUPTED:
        err.print("error: interrupted; nothing half-written was left behind", style="red", highlight=False)
    raise SystemExit(code or OK)


def _explained(error: Exception) -> tuple[str, int]:
    """Return what to say of an error and how to end; raise it again if it is a fault of ours."""
    if isinstance(error, EncoderError):
        return str(error), ENCODER_FAILED
    if isinstance(error, DisentmetricsError):
        return str(error), WRONG_INPUT
    if hasattr(error, "format_message"):  # as errors of the argument parser have, empty where the help is printed
        sentence, context = error.format_message().strip().rstrip("."), getattr(error, "ctx", None)
        return f"{sentence}; see {context.command_path} --help" if sentence and context else sentence, WRONG_INPUT
    if isinstance(error, OSError) and error.filename is None and error.errno in _FULL:
        _drop_output()
        return f"the output could not be written: {error.strerror}", WRONG_INPUT
    raise error


def _drop_output() -> None:
    """Send what waits to be written, at exit too, where it does no harm."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
