"""The workspace that `remit init` and `remit demo` write."""

from __future__ import annotations

import asyncio
from pathlib import Path

import yaml

from remit.demo.play import Demo, Options, Played, play
from remit.demo.workspace import write_workspace
from support.company import edit_settings, free_port


def test_the_descriptions_say_where_their_apis_are_served(tmp_path: Path) -> None:
    write_workspace(tmp_path, ports=(8703, 8702, 8701, 9000))  # each is another one's usual port
    orders, payments, stock = (
        yaml.safe_load((tmp_path / "apis" / f"{name}.yaml").read_text("utf-8"))
        for name in ("orders", "payments", "stock")
    )
    assert orders["servers"][0]["url"] == "http://127.0.0.1:8702"
    assert payments["host"] == "127.0.0.1:8701"
    assert stock["servers"][0]["url"] == "http://127.0.0.1:9000"
    flow = stock["components"]["securitySchemes"]["token"]["flows"]["authorizationCode"]
    assert flow["tokenUrl"] == "http://127.0.0.1:8703/oauth2/token"


class _Silent:
    """Keeps the demo that is told."""

    demo: Demo

    def opened(self, demo: Demo) -> None:
        self.demo = demo

    def saw(self, played: Played) -> None: ...

    def closed(self, demo: Demo) -> None: ...

    def serving(self, demo: Demo) -> None: ...


def test_a_workspace_from_before_there_was_stock_is_played_without_it(tmp_path: Path) -> None:
    write_workspace(tmp_path, ports=(free_port(), free_port(), free_port(), free_port()))
    edit_settings(tmp_path / "remit.yaml", lambda document: document["variables"].pop("STOCK_URL"))
    audience = _Silent()
    assert asyncio.run(play(Options(once=True, folder=tmp_path), audience))
    assert set(audience.demo.urls) == {"mcp", "issuer", "orders", "payments"}
