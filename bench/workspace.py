"""A workspace of the sample company on ports that were free a moment ago."""

from __future__ import annotations

import socket
from contextlib import ExitStack
from pathlib import Path

from remit.demo.workspace import write_workspace


def make_workspace(folder: Path) -> None:
    """Write settings, tools, policy and secrets into ``folder``."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(4)]
        mcp, orders, payments, stock = (each.getsockname()[1] for each in sockets)
    write_workspace(folder, ports=(mcp, orders, payments, stock))
