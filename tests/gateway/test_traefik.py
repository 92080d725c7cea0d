"""Traefik's configuration in ``deploy/traefik``: there is no package of it to run here, so its parts are held to fit."""

from __future__ import annotations

from typing import Any

import yaml

from remit.doors.gateway.forward_auth import PATH, STYLES
from remit.settings.gateway import ForwardAuthSettings
from support.proxies import DEPLOY


def loaded(name: str) -> Any:
    return yaml.safe_load((DEPLOY / "traefik" / name).read_text("utf-8"))


def test_what_comes_from_outside_is_taken_off_before_remit_is_asked() -> None:
    http = loaded("remit.yaml")["http"]
    (router,) = http["routers"].values()
    assert router["middlewares"] == ["from-outside", "remit", "to-the-api"]
    assert set(router["middlewares"]) == set(http["middlewares"])
    assert router["service"] in http["services"]
    assert router["entryPoints"] == list(loaded("traefik.yaml")["entryPoints"])


def test_remit_is_told_in_headers_that_traefik_alone_writes() -> None:
    settings = loaded("remit.yaml")["http"]["middlewares"]["remit"]["forwardAuth"]
    assert settings["address"].endswith(PATH)
    assert settings["trustForwardHeader"] is False
    assert loaded("traefik.yaml")["entryPoints"]["public"]["forwardedHeaders"] == {"insecure": False, "trustedIPs": []}
    told = STYLES["traefik"]
    assert not {told.method, told.uri, told.host} & set(settings["authRequestHeaders"])
    assert ForwardAuthSettings().secret_header in settings["authRequestHeaders"]


def test_what_remit_answers_replaces_what_the_client_sent() -> None:
    settings = loaded("remit.yaml")["http"]["middlewares"]["remit"]["forwardAuth"]
    assert ForwardAuthSettings().token_header in settings["authResponseHeaders"]
    assert "X-Request-ID" in settings["authResponseHeaders"]
    assert settings["authResponseHeadersRegex"] == "^X-Remit-"


def test_the_proxys_secret_ends_at_the_proxy() -> None:
    middlewares = loaded("remit.yaml")["http"]["middlewares"]
    assert middlewares["to-the-api"]["headers"]["customRequestHeaders"][ForwardAuthSettings().secret_header] == ""


def test_encoded_separators_are_refused() -> None:
    allowed = loaded("traefik.yaml")["entryPoints"]["public"]["http"]["encodedCharacters"]
    assert not any(allowed.values())
