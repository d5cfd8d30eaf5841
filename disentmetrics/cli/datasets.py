"""``datasets``: list, describe, download, preview and check data sets."""

import inspect
import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape

from disentmetrics._utils.cache import cache_folder
from disentmetrics.cli.base import CHECK_FAILED, JsonOption, QuietOption, SeedOption, app, check_output
from disentmetrics.cli.console import err, out, print_json, print_table
from disentmetrics.datasets import list_datasets, load_dataset
from disentmetrics.datasets.arrays.custom import CustomDataSet
from disentmetrics.datasets.base import DataSet, DataSetInfo, Symmetry
from disentmetrics.datasets.inspection.identifiability import FactorBits, factor_bits
from disentmetrics.datasets.inspection.preview import check_path, label_of, save_preview
from disentmetrics.datasets.published.manifest import Manifest, manifests
from disentmetrics.datasets.registry import DataSetSpec, check_options, find_dataset, settable_options
from disentmetrics.datasets.transforms.spec import TRANSFORM_OPTIONS
from disentmetrics.datasets.transforms.wrapped import Wrapped
from disentmetrics.factors import Factor, FactorSpace

datasets_app = typer.Typer(help="Data sets with known factors.", no_args_is_help=False)
app.add_typer(datasets_app, name="datasets")

DataSetArgument = Annotated[str, typer.Argument(metavar="NAME", help="Data set, such as dsprites.")]

_MAX_LISTED = 6  # values and symmetries; further ones are counted
_USER_CITATION = "yours"  # citation of data provided by the user
_MAX_FACTORS = 3  # in the list


@datasets_app.callback(invoke_without_command=True)
def _datasets(context: typer.Context) -> None:
    """List, describe, download, preview and check data sets."""
    if context.invoked_subcommand is None:
        datasets_list()


@datasets_app.command("list")
def datasets_list(as_json: JsonOption = False) -> None:
    """List all data sets."""
    infos = list_datasets()
    if as_json:
        print_json([_plain(info) for info in infos])
        return
    rows = [
        (
            info.name,
            "any" if info.size is None else f"{info.size:,}",
            _first([f"{factor.name} {factor.size or 'real'}" for factor in info.space], _MAX_FACTORS) or "–",
            "yes" if info.offline else "no",
            info.licence,
        )
        for info in infos
    ]
    print_table(("name", "observations", "factors", "offline", "licence"), rows)


@datasets_app.command("info")
def datasets_info(name: DataSetArgument, as_json: JsonOption = False) -> None:
    """Describe one data set: factors, nuisances, options, licence, citation, notes and files.

    With a path or options, the data set is loaded (unless that would require a download) and described as loaded.

    [bold]Example[/]

      disentmetrics datasets info folder:my_images
    """
    info, inference = _described(name)
    published = next((manifest for manifest in manifests() if manifest.name == info.name), None)
    options = _options(info.name)
    if as_json:
        files = [asdict(file) for file in published.files] if published else []
        print_json(_plain(info) | {"inference": inference, "options": options, "files": files})
        return
    out.print(f"[bold]{info.name}[/]: {escape(info.summary)}", highlight=False)
    if len(info.space):
        print_table(
            ("factor", "size", "kind", "values"),
            [(f.name, str(f.size or "real"), f.kind_spec, _first(_values(f))) for f in info.space],
        )
    for sentence in inference:
        out.print(f"inferred: {sentence}", highlight=False, markup=False)
    for heading, text in _facts(info, published):
        out.print(f"{heading}: {text}", highlight=False, markup=False)
    given = (f"{option}={default}" if default else option for option, default in options.items())
    out.print(f"options: {', '.join(given) or 'none'}", highlight=False, markup=False)
    out.print(f"options of every data set: {', '.join(TRANSFORM_OPTIONS)}", highlight=False, markup=False)
    if published:
        _show_files(published)
    out.print(f"cache folder: {cache_folder() / 'datasets'}", highlight=False, markup=False, soft_wrap=True)


@datasets_app.command("cite")
def datasets_cite(name: DataSetArgument) -> None:
    """Print citation, BibTeX entry and licence of a data set.

    [bold]Example[/]

      disentmetrics datasets cite dsprites
    """
    info, _ = _described(name)
    if info.citation == _USER_CITATION:
        out.print(f"{info.name}: your own data, nothing to cite", highlight=False, markup=False)
        return
    paragraphs = (info.citation, info.bibtex.strip(), f"Licence: {info.licence}")
    out.print("\n\n".join(filter(None, paragraphs)), highlight=False, markup=False, soft_wrap=True)


@datasets_app.command("fetch")
def datasets_fetch(name: DataSetArgument, quiet: QuietOption = False) -> None:
    """Download and verify a data set, or render it into the cache."""
    data = _loaded(name, quiet=quiet)
    data.prepare(progress=not quiet and err.is_terminal)
    if not quiet:
        err.print(f"{data.name} ({data.fingerprint}) is ready", highlight=False, markup=False)


@datasets_app.command("preview")
def datasets_preview(
    name: DataSetArgument,
    out_file: Annotated[Path, typer.Option("--out", "-o", help="PNG file to write.")],
    samples: Annotated[int, typer.Option(min=1, help="Number of random samples at the top.")] = 24,
    seed: SeedOption = 0,
    quiet: QuietOption = False,
) -> None:
    """Draw random samples, then one row per factor in which that factor alone varies.

    [bold]Example[/]

      disentmetrics datasets preview dsprites -o sheet.png
    """
    check_path(out_file)
    check_output(out_file)
    data = _loaded(name, quiet=quiet)
    save_preview(data, out_file, seed=seed, n_samples=samples)
    if not quiet:
        err.print(f"preview of {data.name} written to {out_file}", highlight=False, markup=False, soft_wrap=True)


@datasets_app.command("check")
def datasets_check(
    name: DataSetArgument,
    contexts: Annotated[int, typer.Option(min=1, help="Number of combinations of the other factors.")] = 64,
    seed: SeedOption = 0,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Measure how much information (in bits) the observations contain about each factor.

    The exit status is 1 if a factor does not affect the observations, or if a declared symmetry does not hold.

    [bold]Example[/]

      disentmetrics datasets check dsprites
    """
    data = _loaded(name, quiet=quiet)
    results = factor_bits(data, n_contexts=contexts, seed=seed, progress=not quiet and err.is_terminal)
    if as_json:
        print_json([_finite(asdict(result)) | {"is_defect": result.is_defect} for result in results])
    else:
        print_table(("factor", "bits", "max", "mean step", "changed"), [_table_row(result) for result in results])
        for sentence in _findings(results, data.space):
            out.print(f"• {sentence}", highlight=False, markup=False)
    if any(result.is_defect for result in results):
        raise typer.Exit(CHECK_FAILED)


def _described(spec: str) -> tuple[DataSetInfo, tuple[str, ...]]:
    """Return the description of a data set and how kinds were inferred; loads it if the spec is more than a name."""
    parsed = DataSetSpec.parse(spec)
    info = find_dataset(parsed.name).info()
    if not (parsed.target or parsed.options or parsed.steps):
        return info, ()
    check_options(spec)
    if not parsed.target and (not info.offline or parsed.options.get("source") == "original"):
        return info, ()  # loading would download it
    data = load_dataset(spec)
    has_size = data.is_observed or data.space.is_grid
    loaded = replace(
        info,
        space=data.space,
        nuisances=data.nuisances,
        symmetries=data.symmetries,
        n_observations=len(data) if has_size else None,
    )
    while isinstance(data, Wrapped):
        data = data.base
    return loaded, (*data.inference, *data.notes) if isinstance(data, CustomDataSet) else ()


def _options(name: str) -> dict[str, str]:
    """Return the options of a data set with their defaults; an empty text where there is no fixed default."""
    settable = settable_options(find_dataset(name).load)
    defaults = {option: parameter.default for option, parameter in settable.items() if option != "progress"}
    return {option: _default(default) for option, default in defaults.items()}


def _default(value: object) -> str:
    if value is inspect.Parameter.empty or value is None:
        return ""
    return str(value).lower() if isinstance(value, bool) else str(value)


def _loaded(spec: str, *, quiet: bool) -> DataSet:
    """Load a data set, with a progress bar if its loader has one."""
    has_progress = "progress" in settable_options(find_dataset(DataSetSpec.parse(spec).name).load)
    return load_dataset(spec, progress=not quiet and err.is_terminal) if has_progress else load_dataset(spec)


def _plain(info: DataSetInfo) -> dict[str, Any]:
    factors = [asdict(factor) for factor in info.space]
    symmetries = [{"factor": s.factor, "same": s.same, "given": dict(s.given)} for s in info.symmetries]
    plain = {key: value for key, value in vars(info).items() if key not in {"space", "symmetries"}}
    return {**plain, "size": info.size, "space": factors, "symmetries": symmetries}


def _facts(info: DataSetInfo, published: Manifest | None) -> Iterator[tuple[str, str]]:
    yield "observations", "any number" if info.size is None else f"{info.size:,}"
    yield "download", "none" if info.offline else "required"
    for nuisance in info.nuisances:
        yield "nuisance", nuisance
    for symmetry in info.symmetries[:_MAX_LISTED]:
        yield "symmetry", _symmetry_text(symmetry, info.space)
    if len(info.symmetries) > _MAX_LISTED:
        yield "symmetry", f"{len(info.symmetries) - _MAX_LISTED} more, see --json"
    yield "licence", info.licence
    yield "cite", info.citation
    if info.homepage:
        yield "homepage", info.homepage
    manual = published.manual if published else ()
    unknown = {gap for file in published.files for gap in file.gaps} if published else set()
    for remark in info.remarks:
        yield "by hand" if remark in manual else "unknown" if remark in unknown else "note", remark


def _show_files(published: Manifest) -> None:
    for file in published.files:
        size = "size unknown" if file.n_bytes is None else f"{file.n_bytes:,} bytes"
        facts = (file.layout, f"part {file.part}" if file.part else "", size)
        lines = [f"published file: {file.name} ({', '.join(filter(None, facts))})"]
        lines += [f"  {algorithm} {checksum}" for algorithm, checksum in file.checksums.items()]
        out.print("\n".join(lines), highlight=False, markup=False, soft_wrap=True)


def _symmetry_text(symmetry: Symmetry, space: FactorSpace) -> str:
    """Return the values with identical observations, such as ``orientation 0, 39``, and the condition."""
    given = [f"{name} is {_named(space[name], indices, ' or ')}" for name, indices in symmetry.given.items()]
    where = f" where {' and '.join(given)}" if given else ""
    return f"{symmetry.factor} {_named(space[symmetry.factor], symmetry.same, ', ')}{where}"


def _named(factor: Factor, indices: tuple[int, ...], separator: str) -> str:
    """Return the names of categories, or the indices of numerical values, which are exact."""
    names = [str(factor.values[i]) if factor.kind == "categorical" and factor.values else str(i) for i in indices]
    return separator.join(names)


def _values(factor: Factor) -> list[str]:
    return [label_of(factor, index) for index in range(len(factor.values))]


def _first(texts: list[str], n: int = _MAX_LISTED) -> str:
    """Return the first ``n`` texts, and how many more there are."""
    rest = len(texts) - n
    return f"{', '.join(texts[:n])} and {rest} more" if rest > 0 else ", ".join(texts)


def _table_row(result: FactorBits) -> tuple[str, str, str, str, str]:
    if not result.n_contexts:
        return result.factor, "–", f"{result.most:.3f}", "–", "–"
    return result.factor, f"{result.bits:.3f}", f"{result.most:.3f}", f"{result.step:.3g}", f"{result.moved:.2%}"


def _findings(results: Sequence[FactorBits], space: FactorSpace) -> Iterator[str]:
    for result in results:
        yield from _findings_of(result, space) if result.n_contexts else ()
    unknown = [result.factor for result in results if not result.n_contexts]
    if unknown:
        yield f"unknown: {_first(unknown)}, because no two observations differ in that factor alone"


def _findings_of(result: FactorBits, space: FactorSpace) -> Iterator[str]:
    if result.most > 0 and result.bits == 0:
        yield f"{result.factor}: does not affect any observation"
        return
    for symmetry in result.broken:
        yield f"{result.factor}: declared symmetry does not hold: {_symmetry_text(symmetry, space)}"
    for symmetry in [s for s in result.declared if s not in result.broken][:_MAX_LISTED]:
        yield f"identical observations, as declared: {_symmetry_text(symmetry, space)}"
    for same in result.coincidences[:_MAX_LISTED]:
        values = f"{result.factor} {_named(space[result.factor], same.values, ', ')}"
        example = ", ".join(f"{name} {_value_text(space[name], value)}" for name, value in same.example.items())
        where = f"in {same.n_contexts} of {result.n_contexts} contexts"
        yield f"identical observations, undeclared: {values} {where}" + (f", such as {example}" if example else "")
    if len(result.coincidences) > _MAX_LISTED:
        n_more = len(result.coincidences) - _MAX_LISTED
        yield f"{result.factor}: {n_more} more groups of values with identical observations, see --json"


def _value_text(factor: Factor, value: float) -> str:
    return f"{value:.3g}" if factor.size is None else _named(factor, (int(value),), "")


def _finite(values: dict[str, Any]) -> dict[str, Any]:
    """Return values with None instead of NaN, which JSON does not support."""
    return {key: None if isinstance(value, float) and math.isnan(value) else value for key, value in values.items()}
