"""Envoy itself, with ``deploy/envoy/remit.yaml``, in front of an API that checks delegated tokens."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from support.proxies import DEPLOY, SECRET, Proxied, program, proxied, replaced
from support.proxy_cases import ALL

ENVOY = program("envoy")
pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(ENVOY is None, reason="envoy is not installed; `.ci/envoy` installs it and runs these"),
]


def configure(folder: Path, port: int, remit: int, api: int) -> list[str]:
    text = replaced(
        (DEPLOY / "envoy" / "remit.yaml").read_text("utf-8"),
        listen=f"address: 0.0.0.0, port_value: 8080 → address: 127.0.0.1, port_value: {port}",
        remit=f"port_value: 8700 → port_value: {remit}",
        api=f"port_value: 8701 → port_value: {api}",
        secret=f"what the file of gateway.forward_auth.secret holds → {SECRET}",
    )
    (folder / "envoy.yaml").write_text(text, "utf-8")
    options = ["--concurrency", "1", "--disable-hot-restart", "--log-level", "warning"]
    return [str(ENVOY), "-c", str(folder / "envoy.yaml"), *options]


@pytest.mark.parametrize("case", ALL.values(), ids=ALL.keys())
async def test_behind_envoy(tmp_path: Path, case: Callable[[Proxied], Awaitable[None]]) -> None:
    async with proxied(tmp_path, "envoy", configure) as proxy:
        await case(proxy)
