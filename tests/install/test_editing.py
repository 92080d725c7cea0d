"""A client's file is written as a whole, and what was there is kept beside it."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path

import pytest

from remit.errors import StateInvalid
from remit.install.editing import Change, apply, planned
from remit.install.jsonc import with_entry

NOW = 1_800_000_000.0


def test_the_old_text_is_kept_beside_and_the_mode_stays(tmp_path: Path) -> None:
    file = tmp_path / "mcp.json"
    file.write_text("{}", encoding="utf-8")
    file.chmod(0o640)
    backup = apply(planned(file, lambda text: text + "\n"), NOW)
    assert backup == tmp_path / "mcp.json.bak-20270115T080000Z"
    assert (backup.read_text(encoding="utf-8"), file.read_text(encoding="utf-8")) == ("{}", "{}\n")
    if os.name == "posix":
        assert {stat.S_IMODE(each.stat().st_mode) for each in (file, backup)} == {0o640}
    assert len(list(tmp_path.iterdir())) == 2


def test_a_file_that_is_not_there_is_made_with_its_folders(tmp_path: Path) -> None:
    file = tmp_path / "a" / "b" / "mcp.json"
    assert apply(planned(file, lambda _: "{}"), NOW) is None
    assert file.read_text(encoding="utf-8") == "{}"


def test_nothing_is_written_over_what_somebody_else_wrote_meanwhile(tmp_path: Path) -> None:
    file = tmp_path / "mcp.json"
    file.write_text("{}", encoding="utf-8")
    change = planned(file, lambda _: "{1}")
    file.write_text('{"other": 1}', encoding="utf-8")
    with pytest.raises(StateInvalid):
        apply(change, NOW)
    assert file.read_text(encoding="utf-8") == '{"other": 1}'


def test_every_byte_of_the_old_file_is_in_its_copy_and_the_new_one_keeps_its_kind_of_lines(tmp_path: Path) -> None:
    file = tmp_path / "mcp.json"
    old = b"\xef\xbb\xbf{\r\n}\r\n"
    file.write_bytes(old)
    backup = apply(planned(file, lambda text: with_entry(text, "servers", "remit", {}, where="")), NOW)
    assert backup is not None
    assert backup.read_bytes() == old
    new = file.read_bytes()
    assert new.startswith(b"\xef\xbb\xbf{\r\n")
    assert new.count(b"\r\n") == new.count(b"\n") > old.count(b"\n")


def test_a_copy_is_never_written_over_another(tmp_path: Path) -> None:
    file = tmp_path / "mcp.json"
    file.write_text("1", encoding="utf-8")
    copies = [apply(planned(file, lambda text: text + "1"), NOW) for _ in range(3)]
    assert [copy and copy.read_text(encoding="utf-8") for copy in copies] == ["1", "11", "111"]


def test_the_difference_shows_what_changes_and_no_secret_beside_it(tmp_path: Path) -> None:
    file = tmp_path / "mcp.json"
    others = {f"other{number}": {"env": {"TOKEN": "s3cret"}} for number in range(2)}
    file.write_text(json.dumps({"servers": others}, indent=2), encoding="utf-8")
    change = planned(file, lambda text: with_entry(text, "servers", "remit", {"url": "u"}, where=""))
    assert '+      "url": "u"' in change.diff()
    assert "s3cret" not in change.diff()


def test_the_difference_is_safe_to_print(tmp_path: Path) -> None:
    file = tmp_path / "mcp.json"
    diff = Change(file, "{} // \x1b[2J" + "x" * 1000, "{}").diff()
    assert "\x1b" not in diff
    assert max(map(len, diff.splitlines()[2:])) <= 201


@pytest.mark.skipif(os.name != "posix", reason="links need rights elsewhere")
def test_a_link_stays_a_link(tmp_path: Path) -> None:
    target, link = tmp_path / "dotfiles.json", tmp_path / "mcp.json"
    target.write_text("{}", encoding="utf-8")
    link.symlink_to(target)
    apply(planned(link, lambda _: "[]"), NOW)
    assert link.is_symlink()
    assert target.read_text(encoding="utf-8") == "[]"


@pytest.mark.parametrize("content", [b"\xff\xfe", b"x" * (16 * 1024 * 1024 + 1)], ids=["not-utf-8", "too-large"])
def test_what_cannot_be_read_is_not_written(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "mcp.json"
    file.write_bytes(content)
    with pytest.raises(StateInvalid):
        planned(file, lambda _: "{}")
    assert file.read_bytes() == content
