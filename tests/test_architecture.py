"""The rooms of the project and the direction of imports between them."""

import ast
import sys
from pathlib import Path

import pytest

import disentmetrics as dm

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "docs" / "hooks"))  # as mkdocs does

from rooms import FLOORS, Import, arrows, imported_names, imports, modules, picture, room  # noqa: E402 - it lies in that folder

FLOOR = {name: number for number, floor in enumerate(reversed(FLOORS)) for name in floor}
IMPORTS = imports()
CORE = [i for i in IMPORTS if i.importer.startswith("disentmetrics.")]
DRAWING = Import("disentmetrics.results.card", "disentmetrics.plots", is_lazy=True)  # ScoreCard.plot


def of_room(name: str) -> list[Import]:
    return [i for i in CORE if room(i.importer) == name]


def test_every_room_lies_on_a_floor() -> None:
    assert {room(module) for module in modules() if module.startswith("disentmetrics.")} - {"__main__"} == set(FLOOR)


@pytest.mark.parametrize("name", sorted(FLOOR))
def test_architecture_imports_point_downwards(name: str) -> None:
    upwards = [
        i
        for i in of_room(name)
        if room(i.imported) not in {name, "hall"} and FLOOR[room(i.imported)] >= FLOOR[name] and i != DRAWING
    ]
    assert upwards == []


def test_architecture_no_room_imports_the_hall() -> None:
    assert [i for i in CORE if room(i.imported) == "hall"] == []


def test_architecture_the_core_imports_no_other_package() -> None:
    assert [i for i in CORE if not i.imported.startswith("disentmetrics.")] == []


def test_architecture_adapters_and_reference_models_do_not_import_each_other() -> None:
    sides = {"disentmetrics_adapters", "disentmetrics_reference_models"}
    assert [i for i in IMPORTS if {i.importer.partition(".")[0], i.imported.partition(".")[0]} == sides] == []


def test_architecture_estimators_import_nothing_of_ours_but_errors_and_types() -> None:
    allowed = {"disentmetrics.errors", "disentmetrics._utils.typing"}
    assert {i.imported for i in of_room("estimators") if room(i.imported) != "estimators"} <= allowed


def test_architecture_results_read_neither_estimators_nor_files_of_codes() -> None:
    assert {room(i.imported) for i in of_room("results")} <= {"results", "_utils", "errors", "factors", "plots"}
    sources = [path.read_text(encoding="utf-8") for path in (ROOT / "disentmetrics" / "results").glob("*.py")]
    assert len(sources) > 3
    assert not any("h5py" in source for source in sources)


def test_architecture_only_extensions_of_the_command_line_import_it() -> None:
    importers = {i.importer for i in IMPORTS if i.imported.startswith("disentmetrics.cli")}
    inside = {"disentmetrics.__main__"} | {m for m in modules() if m.startswith("disentmetrics.cli")}
    assert all(name.startswith("disentmetrics_reference_models.cli") for name in importers - inside)


def test_architecture_data_sets_of_the_catalog_are_imported_by_the_registry_alone() -> None:
    catalog = "disentmetrics.datasets.catalog"
    importers = {i.importer for i in IMPORTS if i.imported.startswith(catalog) and not i.importer.startswith(catalog)}
    assert importers <= {"disentmetrics.datasets.registry"}


def test_architecture_metrics_import_each_other_only_to_share_one_formula_between_two_names() -> None:
    sharing = {i.importer for i in of_room("metrics") if room(i.imported) == "metrics" and "._" in i.imported}
    assert all("@alias(" in modules()[name].read_text(encoding="utf-8") for name in sharing)
    assert len(sharing) < 5


def test_the_package_shows_its_public_names_alone() -> None:
    shown = dir(dm)
    assert len(shown) < 30
    assert all(hasattr(dm, name) for name in shown)
    assert {"score", "encode", "compare", "metrics", "ScoreCard"} <= set(shown)
    assert not {"cli", "statistics", "results", "errors"} & set(shown)
    verbs = ("load_dataset", "encode", "score", "compare", "check", "verify", "udr")
    assert all(f"dm.{verb}(" in (dm.__doc__ or "") for verb in verbs)


def test_the_diagram_shows_every_room_that_is_not_imported_everywhere() -> None:
    drawn = picture()
    assert all(f">{name}</text>" in drawn for name in ("cli", "metrics", "estimators", "results"))
    assert all(
        f"<title>{start} → {end}</title>" in drawn
        for start, end in (("report", "comparison"), ("metrics", "statistics"))
    )
    assert drawn.count("marker-end") < len(arrows())  # arrows implied by a longer path are not drawn


def test_lazy_imports_and_imports_for_types_are_distinguished() -> None:
    code = "import a.b\nif TYPE_CHECKING:\n    from a import c\ndef f():\n    from a.d import e, g\n"
    expected = [("a.b", "", False), ("a", "c", True), ("a.d", "e", True), ("a.d", "g", True)]
    assert list(imported_names(ast.parse(code))) == expected
