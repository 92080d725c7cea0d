"""What a token service may be declared to do otherwise than the RFCs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from remit.app.registry import declared
from remit.errors import SettingsInvalid
from remit.exchange.declared import Declared
from remit.settings import Settings, load_settings

REMOTE = {"service": "remote", "issuer": "https://idp.example", "jwks_uri": "https://idp.example/jwks"}


def load(folder: Path, exchange: dict[str, Any]) -> Settings:
    file = folder / "remit.yaml"
    file.write_text(yaml.safe_dump({"version": 1, "exchange": exchange}), encoding="utf-8")
    return load_settings(file)


def test_nothing_is_declared_unless_the_settings_say_so(tmp_path: Path) -> None:
    assert declared(load(tmp_path, REMOTE)) == Declared()


def test_each_declaration_reaches_the_exchange(tmp_path: Path) -> None:
    expect = {"act": "none", "aud": "optional", "client_claim": "azp", "exp": "own"}
    assert declared(load(tmp_path, {**REMOTE, "typ": ["jwt", ""], "expect": expect})) == Declared(
        typ=frozenset({"jwt", ""}),
        client_claim="azp",
        act_required=False,
        aud_required=False,
        within_subject=False,
    )


@pytest.mark.parametrize(
    "exchange",
    [
        {**REMOTE, "expect": {"act": "optional"}},
        {**REMOTE, "expect": {"sub": "none"}},
        {**REMOTE, "expect": {"client_claim": ""}},
        {"service": "embedded", "expect": {"act": "none"}},
    ],
)
def test_a_declaration_that_means_nothing_is_a_mistake(exchange: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(SettingsInvalid):
        load(tmp_path, exchange)
