"""Files on disk: found, loaded apart from each other, reloaded one by one, watched."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest

from remit.catalog.loader import CatalogSource, LoadReport, load_catalog

TOOL = """
  - name: {name}
    title: Get an order
    description: Get one order by its id. Use list_orders when you only know its status.
    input:
      type: object
      required: [order_id]
      properties:
        order_id: {{type: string, pattern: "^O[0-9]+$", description: Order id, examples: [O1001]}}
        include: {{type: array, items: {{enum: [items, notes]}}, description: Extra parts to include}}
    request:
      method: GET
      path: /orders/{{order_id}}
      query: {{include: $include}}
      style: {{include: comma}}
    auth: {{scopes: ["orders:read"]}}
    response:
      select: "{{id: id, status: status, total: total, items: items[].{{sku: sku, quantity: quantity}}}}"
      errors: {{"404": "No order has that id.", "403": "The user may not see this order."}}
    policy: {{dataClass: pii}}
"""


def tool_file(*names: str) -> str:
    head = "version: 1\nname: orders\nupstream:\n  baseUrl: https://o.example\n  auth: {audience: orders-api}\ntools:"
    return head + "".join(TOOL.format(name=name) for name in names)


def names(report: LoadReport) -> list[str]:
    return list(report.catalog.tools)


def test_files_are_found_below_a_directory_and_by_name(tmp_path: Path) -> None:
    (tmp_path / "tools" / "crm").mkdir(parents=True)
    (tmp_path / "tools" / ".hidden").mkdir()
    (tmp_path / "tools" / "b.yaml").write_text(tool_file("b"), encoding="utf-8")
    (tmp_path / "tools" / "crm" / "a.yml").write_text(tool_file("a"), encoding="utf-8-sig")
    (tmp_path / "tools" / ".hidden" / "x.yaml").write_text("nonsense", encoding="utf-8")
    (tmp_path / "tools" / "readme.md").write_text("nonsense", encoding="utf-8")
    (tmp_path / "c.tools").write_text(tool_file("c"), encoding="utf-8")
    report = load_catalog([tmp_path / "tools", tmp_path / "c.tools", tmp_path / "tools" / "b.yaml"], {})
    assert report.problems == ()
    assert names(report) == ["a", "b", "c"]
    tool = report.catalog.get("b")
    assert tool is not None
    assert tool.where == f"{(tmp_path / 'tools' / 'b.yaml').as_posix()}:7"


def test_a_broken_file_does_not_take_the_others_down(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(tool_file("a"), encoding="utf-8")
    (tmp_path / "b.yaml").write_text(tool_file("b").replace("method: GET", "method: GOT"), encoding="utf-8")
    (tmp_path / "c.yaml").write_bytes(b"a: \xff")
    (tmp_path / "d.yaml").write_bytes(b"#" * (1024 * 1024 + 1))
    report = load_catalog([tmp_path, tmp_path / "nowhere"], {})
    assert names(report) == ["a"]
    assert [(Path(problem.file).name, problem.line, problem.column) for problem in report.problems] == [
        ("b.yaml", 17, 15),
        ("c.yaml", 1, 4),
        ("d.yaml", 0, 0),
        ("nowhere", 0, 0),
    ]


def test_two_tools_of_one_name_are_a_problem_that_names_both_and_neither_is_served(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(tool_file("same", "a"), encoding="utf-8")
    (tmp_path / "b.yaml").write_text(tool_file("b", "same"), encoding="utf-8")
    report = load_catalog([tmp_path], {})
    assert names(report) == ["a", "b"]
    assert [problem.line for problem in report.problems] == [7, 27]
    assert all("a.yaml:7 and " in problem.message and "b.yaml:27" in problem.message for problem in report.problems)


def test_the_revision_is_the_same_for_the_same_definitions_anywhere(tmp_path: Path) -> None:
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "a.yaml").write_text(tool_file("a"), encoding="utf-8")
    one, two = (load_catalog([tmp_path / folder], {}).catalog.revision for folder in ("one", "two"))
    assert one == two


# ── reload ──


def test_a_reload_compiles_only_what_changed(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(tool_file("a"), encoding="utf-8")
    (tmp_path / "b.yaml").write_text(tool_file("b"), encoding="utf-8")
    source = CatalogSource([tmp_path], {})
    before = source.report.catalog
    (tmp_path / "b.yaml").write_text(tool_file("b", "c"), encoding="utf-8")
    after = source.reload().catalog
    assert list(after.tools) == ["a", "b", "c"]
    assert after.get("a") is before.get("a")
    assert after.get("b") is not before.get("b")
    assert source.report.catalog is after


def test_a_report_says_whether_the_tools_are_others_than_before(tmp_path: Path) -> None:
    file = tmp_path / "a.yaml"
    file.write_text(tool_file("a"), encoding="utf-8")
    source = CatalogSource([tmp_path], {})
    assert source.report.is_other
    file.write_text(f"# reviewed\n{tool_file('a')}", encoding="utf-8")
    assert not source.reload().is_other
    file.write_text("tools: [", encoding="utf-8")
    assert not source.reload().is_other
    file.write_text(tool_file("b"), encoding="utf-8")
    assert source.reload().is_other


def test_a_file_that_breaks_keeps_its_tools_until_it_is_mended_or_gone(tmp_path: Path) -> None:
    file = tmp_path / "a.yaml"
    file.write_text(tool_file("a"), encoding="utf-8")
    source = CatalogSource([tmp_path], {})
    revision = source.report.catalog.revision
    for broken in ("tools: [", "\x00", tool_file("a").replace("/orders/", "/$nothing/{x}/")):
        file.write_text(broken, encoding="utf-8")
        report = source.reload()
        assert report.problems
        assert report.catalog.revision == revision
        assert source.reload() == report or source.report.problems == report.problems
    file.write_text(tool_file("mended"), encoding="utf-8")
    assert names(source.reload()) == ["mended"]
    file.unlink()
    assert names(source.reload()) == []
    assert source.report.problems == ()


def test_a_new_file_cannot_take_over_a_name_that_is_served(tmp_path: Path) -> None:
    (tmp_path / "b.yaml").write_text(tool_file("pay"), encoding="utf-8")
    source = CatalogSource([tmp_path], {})
    served = source.report.catalog.get("pay")
    (tmp_path / "a.yaml").write_text(tool_file("pay"), encoding="utf-8")
    report = source.reload()
    assert report.catalog.get("pay") is served
    assert len(report.problems) == 2


def test_a_watched_directory_tells_of_changes(tmp_path: Path) -> None:
    async def main() -> list[str]:
        source = CatalogSource([tmp_path], {})
        changed: asyncio.Queue[LoadReport] = asyncio.Queue()
        stop = asyncio.Event()
        watching = asyncio.create_task(source.watch(changed.put, stop=stop))
        async with asyncio.timeout(10):
            number = 0
            while changed.empty():  # until the watcher has started to look
                number += 1
                whole = tmp_path / "a.new"  # renamed into place: the watcher must not read half a file
                whole.write_text(f"# {number}\n{tool_file('a')}", encoding="utf-8")
                whole.replace(tmp_path / "a.yaml")
                await asyncio.sleep(0.05)
            report = await changed.get()
            stop.set()
            await watching
        return names(report)

    assert asyncio.run(main()) == ["a"]


# ── speed ──


def test_a_thousand_tools_load_in_well_under_a_second(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for number in range(100):
        tools = (f"tool_{number}_{n}" for n in range(10))
        (tmp_path / f"{number}.yaml").write_text(tool_file(*tools), encoding="utf-8")
    began = time.process_time()
    report = load_catalog([tmp_path], {})
    seconds = time.process_time() - began
    with capsys.disabled():
        print(f"\n1,000 tools in 100 files: {seconds:.2f} s of CPU")
    assert (len(report.catalog.tools), report.problems) == (1000, ())
    assert seconds < 2  # a bound for slow machines; usually a quarter of it
