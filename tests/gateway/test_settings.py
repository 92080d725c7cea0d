"""The gateway's settings: every mistake is told with its place, and what the token service would refuse too."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from remit.app.checking import check_all
from remit.demo.workspace import write_workspace
from remit.errors import SettingsInvalid
from remit.settings import load_settings
from support.company import edit_settings

ROUTE = {
    "name": "orders",
    "prefix": "/orders",
    "upstream": "https://orders.example/api/",
    "audience": "orders-api",
    "scopes": ["orders:read"],
}


def written(folder: Path, gateway: Any) -> Path:
    """A workspace with this gateway; its settings file."""
    write_workspace(folder)
    config = folder / "remit.yaml"
    edit_settings(config, lambda document: document.update(gateway=gateway))
    return config


def test_a_route_has_sound_defaults(tmp_path: Path) -> None:
    settings = load_settings(written(tmp_path, {"routes": [ROUTE]}))
    (route,) = settings.gateway.routes
    assert settings.gateway_audiences == ("http://127.0.0.1:8700/gateway",)
    assert route.upstream == "https://orders.example/api"
    assert (route.actor, route.max_lifetime, route.cookies, route.strip_prefix) == ("required", 120, False, False)
    assert not settings.gateway.forward_auth.enabled


@pytest.mark.parametrize(
    ("changed", "place"),
    [
        ({"prefix": "orders"}, "prefix"),
        ({"prefix": "/orders/"}, "prefix"),
        ({"prefix": "/orders/../x"}, "prefix"),
        ({"prefix": "/or%64ers"}, "prefix"),
        ({"prefix": "/mcp/x"}, "prefix"),
        ({"prefix": "/oauth2"}, "prefix"),
        ({"prefix": "/.well-known/x"}, "prefix"),
        ({"prefix": "/forward-auth"}, "prefix"),
        ({"upstream": "http://orders.example"}, "upstream"),
        ({"upstream": "https://user:word@orders.example"}, "upstream"),
        ({"upstream": "https://orders.example/?a=b"}, "upstream"),
        ({"upstream": "https://orders.example/a/../b"}, "upstream"),
        ({"methods": {"TRACE": ["a"]}}, "TRACE"),
        ({"methods": {"get": ["a"]}}, "get"),
        ({"timeout": "soon"}, "timeout"),
        ({"max_request_bytes": -1}, "max_request_bytes"),
        ({"hosts": ["Shop.example/"]}, "Shop.example"),
        ({"actor": "maybe"}, "actor"),
        ({"strip": True}, "strip"),
        ({"audience": ""}, "name"),
        ({"scopes": []}, "name"),
        ({"scopes": [], "methods": {"GET": []}}, "name"),
    ],
)
def test_a_mistake_in_a_route_is_told_with_its_line(tmp_path: Path, changed: dict[str, Any], place: str) -> None:
    config = written(tmp_path, {"routes": [{**ROUTE, **changed}]})
    with pytest.raises(SettingsInvalid) as caught:
        load_settings(config)
    line = int(caught.value.problems[0].where.split(":")[-2])
    assert place in config.read_text("utf-8").splitlines()[line - 1]


@pytest.mark.parametrize(
    "gateway",
    [
        {"routes": [ROUTE, {**ROUTE, "prefix": "/other"}]},
        {"routes": [ROUTE, {**ROUTE, "name": "other"}]},
        {
            "routes": [
                {**ROUTE, "hosts": ["a.example"]},
                {**ROUTE, "name": "other", "hosts": ["b.example", "a.example"]},
            ]
        },
        {"routes": [ROUTE], "forward_auth": {"enabled": True}},
        {"routes": [ROUTE], "forward_auth": {"enabled": True, "trusted_proxies": ["everybody"]}},
        {"routes": [ROUTE], "forward_auth": {"style": "envoy", "uri_header": "X-Uri"}},
        {"routes": [ROUTE], "forward_auth": {"secret": "written here"}},
        {"forward_auth": {"enabled": True, "trusted_proxies": ["127.0.0.1"]}},
    ],
)
def test_what_contradicts_itself_is_refused(tmp_path: Path, gateway: Any) -> None:
    with pytest.raises(SettingsInvalid) as caught:
        load_settings(written(tmp_path, gateway))
    assert "remit.yaml:" in caught.value.where


def test_routes_of_one_prefix_may_be_for_different_hosts(tmp_path: Path) -> None:
    routes = [{**ROUTE, "hosts": ["a.example"]}, {**ROUTE, "name": "other", "hosts": ["b.example"]}]
    assert len(load_settings(written(tmp_path, {"routes": routes})).gateway.routes) == 2


def test_check_counts_the_routes(tmp_path: Path) -> None:
    checked = check_all(written(tmp_path, {"routes": [ROUTE]}))
    assert not [problem for problem in checked.problems if "gateway" in problem.where]
    assert "1 routes ok" in checked.facts


@pytest.mark.parametrize(
    ("gateway", "where", "hint"),
    [
        (
            {"routes": [{**ROUTE, "audience": "other-api"}]},
            "gateway.routes.orders",
            "add it to sts.clients.agent-runner.targets",
        ),
        (
            {"routes": [{**ROUTE, "methods": {"GET": [], "PUT": ["orders:all"]}}]},
            "gateway.routes.orders",
            "add it to the target's scopes in sts.clients.agent-runner",
        ),
        (
            {
                "routes": [ROUTE],
                "forward_auth": {"enabled": True, "trusted_proxies": ["::1"], "secret": {"file": "none"}},
            },
            "gateway.forward_auth.secret",
            "put the secret into",
        ),
    ],
)
def test_check_tells_what_would_be_refused_every_time(tmp_path: Path, gateway: Any, where: str, hint: str) -> None:
    problems = check_all(written(tmp_path, gateway)).problems
    (problem,) = [problem for problem in problems if problem.where == where]
    assert problem.hint.startswith(hint)
