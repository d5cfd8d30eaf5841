"""Matrix products in one thread."""

import sys
from types import ModuleType

import pytest
from threadpoolctl import ThreadpoolController, threadpool_info

from disentmetrics._utils.threads import single_threaded_blas


def n_threads() -> list[int]:
    return [library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas"]


def test_matrix_products_have_one_thread_inside_the_context_alone() -> None:
    with ThreadpoolController().limit(limits=2):
        before = n_threads()
        with single_threaded_blas():
            assert set(n_threads()) == {1}
            with single_threaded_blas():
                assert set(n_threads()) == {1}
            assert set(n_threads()) == {1}
        assert n_threads() == before


def test_libraries_are_searched_for_once_and_again_after_an_import(monkeypatch: pytest.MonkeyPatch) -> None:
    searches: list[object] = []
    search = ThreadpoolController.__init__

    def counted(self: ThreadpoolController) -> None:
        searches.append(self)
        search(self)

    monkeypatch.setattr(ThreadpoolController, "__init__", counted)
    with single_threaded_blas():
        pass
    searches.clear()
    for _ in range(3):
        with single_threaded_blas():
            pass
    assert searches == []
    monkeypatch.setitem(sys.modules, "a_new_module", ModuleType("a_new_module"))
    with single_threaded_blas():
        pass
    assert len(searches) == 1
