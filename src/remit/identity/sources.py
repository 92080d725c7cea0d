"""Door: where a stdio session's subject token comes from. Asked anew for every call, so a token may be renewed.

Never the command line: other users of the machine can read that.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

from remit.credential import Credential, UnverifiedToken
from remit.errors import TokenMissing

#: What a stdio session asks for its subject token.
SubjectTokenSource = Callable[[], Awaitable[UnverifiedToken | None]]

_MAX_BYTES = 64 * 1024
_COMMAND_SECONDS = 30.0


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


def token_from_command(command: Sequence[str]) -> SubjectTokenSource:
    """The command's standard output, without surrounding white space. No shell is involved.

    Raises ``TokenMissing`` where it fails or takes longer than 30 s; its standard error goes to ours.
    """

    async def read() -> UnverifiedToken | None:
        try:
            output = await asyncio.wait_for(_output(command), _COMMAND_SECONDS)
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
    try:
        output, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode != 0:
        raise ValueError(f"exit code {process.returncode}")
    if len(output) > _MAX_BYTES:
        raise ValueError(f"more than {_MAX_BYTES} bytes")
    return output.decode("ascii").strip()
