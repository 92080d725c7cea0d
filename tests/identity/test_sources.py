"""Where a stdio session's subject token comes from, and what happens where it does not come."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from remit.credential import Credential
from remit.errors import TokenMissing
from remit.identity.sources import SubjectTokenSource, no_token, token_from_command, token_from_file, token_from_value

pytestmark = pytest.mark.anyio


async def text_of(source: SubjectTokenSource) -> str:
    token = await source()
    assert token is not None
    return token.reveal()


def python(script: str) -> list[str]:
    return [sys.executable, "-c", script]


async def test_nobody_signed_in_has_no_token() -> None:
    assert await no_token() is None


async def test_a_value_is_the_token_without_what_stands_around_it() -> None:
    assert await text_of(token_from_value(Credential(" a.b.c\n"))) == "a.b.c"


async def test_a_file_is_read_anew_for_every_call(tmp_path: Path) -> None:
    file = tmp_path / "token"
    source = token_from_file(file)
    for text in ("first", "second\r\n"):
        file.write_text(text, encoding="ascii")
        assert await text_of(source) == text.strip()


async def test_an_empty_file_is_no_token(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text(" \n", encoding="ascii")
    assert await token_from_file(file)() is None


async def test_a_file_that_cannot_be_read_is_named_to_the_operator_only(tmp_path: Path) -> None:
    not_text = tmp_path / "picture"
    not_text.write_bytes(b"\xff\xfe\x00")
    for file in (tmp_path / "nowhere", tmp_path, not_text):
        with pytest.raises(TokenMissing) as caught:
            await token_from_file(file)()
        assert str(file) in caught.value.detail
        assert str(file) in caught.value.hint
        assert str(file) not in caught.value.message


async def test_a_file_is_read_no_further_than_a_token_can_be_long(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_bytes(b"x" * 1_000_000)
    assert len(await text_of(token_from_file(file))) == 64 * 1024


async def test_a_command_is_asked_anew_for_every_call(tmp_path: Path) -> None:
    counter = tmp_path / "count"
    source = token_from_command(
        python(
            f"p = {str(counter)!r}; open(p, 'a').write('x'); print(' token', len(open(p).read()), sep='-', end=' \\n')"
        )
    )
    assert await text_of(source) == "token-1"
    assert await text_of(source) == "token-2"


async def test_a_command_that_says_nothing_gives_no_token() -> None:
    assert await token_from_command(python("pass"))() is None


async def test_a_commands_arguments_pass_no_shell() -> None:
    source = token_from_command([*python("import sys; print(sys.argv[1])"), "$HOME; echo %PATH% `id`"])
    assert await text_of(source) == "$HOME; echo %PATH% `id`"


async def test_a_command_reads_nothing_of_the_protocol() -> None:
    """Standard input belongs to the MCP client."""
    assert await text_of(token_from_command(python("import sys; print(len(sys.stdin.read()))"))) == "0"


@pytest.mark.parametrize(
    ("script", "why"),
    [
        ("print('a.b.c'); raise SystemExit(3)", "exit code 3"),
        ("print('x' * 100_000)", "more than 65536 bytes"),
        ("import sys; sys.stdout.buffer.write(bytes([255, 254]))", "ascii"),
        ("while True: print('x' * 10_000)", "more than 65536 bytes"),
    ],
)
async def test_a_command_that_fails_says_why_to_the_operator_only(script: str, why: str) -> None:
    with pytest.raises(TokenMissing) as caught:
        await token_from_command(python(script))()
    assert why in caught.value.detail
    assert caught.value.message == "the subject token command failed"
    assert "a.b.c" not in f"{caught.value.detail} {caught.value.hint}"


async def test_a_command_that_is_not_there_fails() -> None:
    with pytest.raises(TokenMissing) as caught:
        await token_from_command(["no-such-command-anywhere"])()
    assert "no-such-command-anywhere" in caught.value.hint


async def test_a_command_that_takes_too_long_is_ended() -> None:
    with pytest.raises(TokenMissing) as caught:
        await token_from_command(python("import time; time.sleep(60)"), seconds=0.2)()
    assert "TimeoutError" in caught.value.detail
