"""Door: where a stdio session's subject token comes from. Asked anew for every call, so a token may be renewed.

Never the command line: other users of the machine can read that.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from pathlib import Path

from remit.credential import Credential, UnverifiedToken
from remit.errors import TokenMissing

#: What a stdio session asks for its subject token.
SubjectTokenSource = Callable[[], Awaitable[UnverifiedToken | None]]

_MAX_BYTES = 64 * 1024
_COMMAND_SECONDS = 30.0
_END_SECONDS = 1.0


async def no_token() -> UnverifiedToken | None:
    """The source of a session nobody signed in to."""
    return None


def token_from_value(value: Credential) -> SubjectTokenSource:
    """A fixed token, from the environment. It dies at its ``exp``; a file or a command can be renewed."""
    token = UnverifiedToken(value.reveal().strip())

    async def read() -> UnverifiedToken | None:
        return token

    return read


def token_from_file(path: Path) -> SubjectTokenSource:
    """The file's whole text, without surrounding white space. Raises ``TokenMissing`` naming the file."""

    async def read() -> UnverifiedToken | None:
        try:
            with path.open("rb") as file:
                text = file.read(_MAX_BYTES).decode("ascii").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise TokenMissing(
                "the subject token file cannot be read",
                detail=f"{path}: {error}",
                hint=f"write the user's access token to {path}",
            ) from error
        return UnverifiedToken(text) if text else None

    return read


def token_from_command(command: Sequence[str], *, seconds: float = _COMMAND_SECONDS) -> SubjectTokenSource:
    """The command's standard output, without surrounding white space. No shell is involved.

    Raises ``TokenMissing`` where it fails, takes longer than ``seconds`` or says too much; its standard error goes
    to ours.
    """

    async def read() -> UnverifiedToken | None:
        try:
            output = await asyncio.wait_for(_output(command), seconds)
        except (OSError, TimeoutError, ValueError) as error:
            raise TokenMissing(
                "the subject token command failed",
                detail=f"{command[0]}: {str(error) or type(error).__name__}",
                hint=f"run `{command[0]} …` by hand: it must print an access token and exit with 0",
            ) from error
        return UnverifiedToken(output) if output else None

    return read


async def _output(command: Sequence[str]) -> str:
    process = await asyncio.create_subprocess_exec(
        *command, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None  # noqa: S101  a pipe was asked for
    try:
        output = await process.stdout.readexactly(_MAX_BYTES + 1)
    except asyncio.IncompleteReadError as whole:
        output = whole.partial
        await process.wait()
    finally:
        await _end(process)
    if len(output) > _MAX_BYTES:
        raise ValueError(f"more than {_MAX_BYTES} bytes")
    if process.returncode != 0:
        raise ValueError(f"exit code {process.returncode}")
    return output.decode("ascii").strip()


async def _end(process: asyncio.subprocess.Process) -> None:
    """End the process if it still runs, and read what is left in the pipe, so that it closes."""
    if process.returncode is None:
        process.kill()
    with suppress(TimeoutError):  # the command's own children may hold the pipe
        await asyncio.wait_for(process.communicate(), _END_SECONDS)
