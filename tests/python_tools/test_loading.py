"""Python files beside tool files: loaded where that is switched on, reloaded when they change."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import pytest

from remit.catalog.loader import CatalogSource, LoadReport, load_catalog
from remit.catalog.lock_files import Locks
from support.code_tools import HEAD

ONE = (
    HEAD
    + '''
@desk.tool(scopes=["orders:read"])
async def count(ctx: Ctx) -> int:
    """Counts for the test, which is all it does."""
    return 1
'''
)


def names(report: LoadReport) -> list[str]:
    return list(report.catalog.tools)


def write(folder: Path, text: str = ONE, name: str = "desk.py") -> Path:
    (folder / name).write_text(text, encoding="utf-8")
    return folder / name


def test_python_files_are_not_run_unless_that_is_switched_on(tmp_path: Path) -> None:
    marker = tmp_path / "ran"
    file = write(tmp_path, f"open({str(marker)!r}, 'w').close()\n{ONE}")
    write(tmp_path, ONE, "other.py")
    for paths in ([tmp_path], [file]):
        report = load_catalog(paths, {})
        assert (names(report), report.problems) == ([], ())
        [told] = report.passed_over
        assert told.file == file.as_posix()
        assert "switched off" in told.message
    assert not marker.exists()
    report = load_catalog([tmp_path / "desk.py"], {}, python=True)
    assert (names(report), report.passed_over) == (["count"], ())
    assert marker.exists()


def test_files_that_begin_with_an_underscore_or_a_dot_are_passed_over(tmp_path: Path) -> None:
    write(tmp_path, "raise AssertionError", "_shared.py")
    (tmp_path / ".venv").mkdir()
    write(tmp_path / ".venv", "raise AssertionError")
    report = load_catalog([tmp_path], {}, python=True)
    assert (names(report), report.problems) == ([], ())


def test_a_changed_file_is_loaded_anew_and_a_broken_one_keeps_the_tools_it_had(tmp_path: Path) -> None:
    file = write(tmp_path)
    source = CatalogSource([tmp_path], {}, python=True)
    before = source.catalog.get("count")
    assert before is not None
    assert source.reload().catalog.get("count") is before  # nothing changed, so nothing was run

    write(tmp_path, ONE.replace("return 1", "return 2"))
    after = source.reload().catalog.get("count")
    assert after is not None
    assert after.digest != before.digest
    assert after.code is not None
    assert before.code is not None
    assert asyncio.run(_run(after)) == 2
    assert asyncio.run(_run(before)) == 1  # a call that is under way ends as it began

    assert (
        len([name for name, module in sys.modules.items() if getattr(module, "__file__", "") == file.as_posix()]) == 1
    )

    write(tmp_path, "import nothing_of_the_kind")
    report = source.reload()
    assert names(report) == ["count"]
    assert report.catalog.get("count") is after
    assert [problem.line for problem in report.problems] == [1]


async def _run(tool: object) -> object:
    return await tool.code.run(None, {})  # type: ignore[attr-defined]


def test_a_lock_approves_the_code_and_any_change_of_the_file_asks_again(tmp_path: Path) -> None:
    write(tmp_path)
    Locks([tmp_path]).write(load_catalog([tmp_path], {}, python=True).catalog.tools.values())
    assert names(load_catalog([tmp_path], {}, "enforce", python=True)) == ["count"]
    write(tmp_path, ONE.replace("return 1", "return 2"))
    report = load_catalog([tmp_path], {}, "enforce", python=True)
    assert names(report) == []
    assert "count" in report.problems[0].message


def test_two_files_may_not_have_one_name(tmp_path: Path) -> None:
    write(tmp_path)
    write(tmp_path, ONE, "more.py")
    report = load_catalog([tmp_path], {}, python=True)
    assert names(report) == []
    assert len(report.problems) == 2


@pytest.mark.anyio
async def test_a_server_notices_a_changed_file(tmp_path: Path) -> None:
    write(tmp_path)
    source, stop, seen = CatalogSource([tmp_path], {}, python=True), asyncio.Event(), asyncio.Event()

    async def changed(report: LoadReport) -> None:
        if names(report) == ["count", "sum_up"]:
            seen.set()

    watching = asyncio.create_task(source.watch(changed, stop=stop))
    try:
        async with asyncio.timeout(10):
            while not seen.is_set():
                # Watching begins when the system says so: the file is written until it is noticed.
                write(tmp_path, ONE.replace("def count", "def sum_up"), "more.py")
                await asyncio.wait([asyncio.create_task(seen.wait())], timeout=0.5)
    finally:
        stop.set()
        await watching


# ── installed packages ───────────────────────────────────────────────────────────────────


def install(folder: Path, value: str, text: str = ONE) -> None:
    """A package as installers leave it."""
    write(folder, text, "desk_of_the_test.py")
    info = folder / "desk_of_the_test-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: desk-of-the-test\nVersion: 1.0\n", encoding="utf-8")
    (info / "entry_points.txt").write_text(f"[remit.tools]\ndesk = {value}\n", encoding="utf-8")


@pytest.mark.parametrize("value", ["desk_of_the_test", "desk_of_the_test:desk"])
def test_packages_bring_tools(tmp_path: Path, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    install(tmp_path, value)
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "tools").mkdir()
    try:
        report = load_catalog([tmp_path / "tools"], {}, python=True)
        assert report.problems == ()
        assert names(report) == ["count"]
        assert names(load_catalog([tmp_path / "tools"], {})) == []
    finally:
        sys.modules.pop("desk_of_the_test", None)


def test_a_package_that_cannot_be_imported_takes_nothing_down(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(tmp_path, "desk_of_the_test", "raise ValueError('hunter2')")
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "tools").mkdir()
    write(tmp_path / "tools")
    report = load_catalog([tmp_path / "tools"], {}, python=True)
    assert names(report) == ["count"]
    [problem] = report.problems
    assert problem.file == "entry point desk"
    assert "ValueError" in problem.message
    assert "hunter2" not in str(problem)
