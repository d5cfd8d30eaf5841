"""``cache``."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

Run = Callable[..., Any]
FAST = ("--interval", "none", "--no-null", "--jobs", "1")
FEW = ("--data", "dsprites", "--samples", "300")


def test_the_cache_is_listed_and_cleared(run: Run, own_cache: Path) -> None:
    assert "0 files, 0.0 MB" in run("cache").out
    run("score", "baseline:random", *FEW, "--metrics", "mig", *FAST)
    (own_cache / "mine.txt").touch()
    listed = run("cache", "list")
    assert "1 files, 0.0 MB" in listed.out
    assert "mine.txt" not in listed.out
    (entry,) = json.loads(run("cache", "list", "--json").out)
    assert Path(entry["path"]).stat().st_size == entry["bytes"]
    assert f"{entry['bytes'] / 1e6:,.1f} MB freed" in run("cache", "clear").out
    assert json.loads(run("cache", "list", "--json").out) == []
    assert (own_cache / "mine.txt").exists()
