"""Tools in Python on the command line."""

from __future__ import annotations

from pathlib import Path

import pytest

from remit.catalog.compile import compile_text
from remit.catalog.python import compile_python
from remit.demo.workspace import write_workspace
from support.terminal import Terminal

DESK = '''
from typing import Annotated, Literal
from remit.tools import Arg, Ctx, Cursor, From, Header, Limits, Query, Retry, TokenExchange, ToolSet, env

desk = ToolSet("desk", base_url=env("DESK_URL", "https://desk.example.com"), owner="desk@example.com",
               auth=TokenExchange(audience="orders-api", scopes=["orders:read"]), retry=Retry(attempts=2))

@desk.get("/notes/{note_id}", select="{text: text}", errors={404: "No note has that id."})
async def get_note(note_id: str, parts: Annotated[list[Literal["on", "no"]] | None, Query(style="comma")] = None) -> None:
    """Get one note of the desk by its id: $5, "yes" and {no}: all stay as they are."""

@desk.post("/notes", body={"text": Arg("text"), "by": From("user.sub"), "price": "$5", "on": True}, idempotency="auto")
async def add_note(text: str, tag: Annotated[str, Header(name="X-Tag")]) -> None:
    """Add a note to the desk. It is signed with the user's name."""

@desk.tool(scopes=["orders:read"])
async def count_notes(ctx: Ctx) -> int:
    """Count the notes of the desk, one page after the other."""
    return len(await ctx.api.get("/notes"))
'''


def desk(folder: Path, text: str = DESK) -> str:
    file = folder / "tools" / "desk.py"
    file.parent.mkdir(exist_ok=True)
    file.write_text(text, encoding="utf-8")
    return "tools/desk.py"


def test_a_tool_file_of_it_is_the_same_tools(remit: Terminal, tmp_path: Path) -> None:
    done = remit("tools", "export", desk(tmp_path))
    assert done.code == 0
    assert "count_notes is code and stays in tools/desk.py" in done.err
    exported = compile_text(done.out, "desk.yaml", {})
    assert exported.problems == ()
    before = compile_python(DESK, "desk.py", {}).tools
    digests = {tool.name: (tool.digest, tool.written) for tool in before if tool.code is None}
    assert {tool.name: (tool.digest, tool.written) for tool in exported.tools} == digests


def test_one_of_several_sets_is_chosen(remit: Terminal, tmp_path: Path) -> None:
    file = desk(tmp_path, DESK + DESK.replace('"desk"', '"other"').replace("desk", "other").replace("_note", "_memo"))
    refused = remit("tools", "export", file)
    assert refused.code == 2
    assert "several tool sets (here: desk, other)" in refused.err
    assert "name: other" in remit("tools", "export", file, "--set", "other").out
    assert remit("tools", "export", file, "--set", "none").code == 2


@pytest.mark.parametrize(
    ("text", "said"),
    [("import nothing_of_the_kind\n", "tools/desk.py:1:1"), ("x = 1\n", "there is no ToolSet in it")],
)
def test_a_file_that_is_broken_is_not_exported(remit: Terminal, tmp_path: Path, text: str, said: str) -> None:
    done = remit("tools", "export", desk(tmp_path, text))
    assert done.code == 1
    assert said in done.err


def test_a_set_with_nothing_but_code_has_no_tool_file(remit: Terminal, tmp_path: Path) -> None:
    head, _, rest = DESK.partition("@desk.get")
    done = remit("tools", "export", desk(tmp_path, f"{head}@desk.tool{rest.partition('@desk.tool')[2]}"))
    assert done.code == 1
    assert done.out == ""


def test_they_are_there_once_that_is_switched_on(remit: Terminal, tmp_path: Path) -> None:
    write_workspace(tmp_path)
    desk(tmp_path)
    assert "count_notes" not in remit("tools", "list").out
    assert "5 tools ok (Python files are not run)" in remit("check").out
    with (tmp_path / "remit.yaml").open("a", encoding="utf-8") as settings:
        settings.write("python_tools: true\n")
    assert "count_notes" in remit("tools", "list").out
    shown = remit("tools", "show", "count_notes")
    assert "tools/desk.py:" in shown.out


def test_what_code_would_call_is_not_known_before_it_runs(remit: Terminal, tmp_path: Path) -> None:
    write_workspace(tmp_path)
    desk(tmp_path)
    with (tmp_path / "remit.yaml").open("a", encoding="utf-8") as settings:
        settings.write("python_tools: true\n")
    data = tmp_path / "policy" / "data.yaml"
    data.write_text(
        data.read_text("utf-8").replace("  support-lead:\n", "  support-lead:\n    desk: [read, write]\n", 1)
    )
    refused = remit("call", "count_notes", "--as", "alice", "--dry-run")
    assert refused.code == 7
    assert "no request of its own" in refused.err
