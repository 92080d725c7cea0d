"""Who may import whom: the table of docs/architecture.md, held as data."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent / "src" / "remit"

LEAVES = {"errors", "oauth", "clock", "credential", "web", "logs", "database"}
COMMON = LEAVES | {"principal", "tokens"}
FIVE = {"identity", "policy", "exchange", "downstream", "audit"}

#: unit (a top-level module or folder of src/remit) → what it may import of ours, besides itself
MAY_IMPORT: dict[str, set[str]] = {
    **{leaf: set() for leaf in LEAVES},
    "principal": {"errors", "oauth", "credential"},
    "settings": {"errors", "oauth", "credential", "web"},
    "tokens": LEAVES | {"principal"},
    "identity": COMMON,
    "policy": COMMON | {"catalog"},
    "exchange": COMMON,
    "downstream": COMMON | {"catalog"},
    "audit": COMMON,
    "approvals": COMMON,
    "tools": {"errors"},
    "catalog": LEAVES | {"principal", "tools"},
    "sts": COMMON,
    "authorization": COMMON | {"sts"},
    "login": COMMON,
    "resource": COMMON,
    "install": COMMON | {"settings"},
    "call": COMMON | FIVE | {"approvals"},
    "permission": COMMON | FIVE | {"approvals", "call", "catalog"},
    "inner": COMMON | FIVE | {"call", "catalog", "permission", "tools"},
    "bridge": COMMON | FIVE | {"approvals", "call", "catalog", "inner", "permission"},
    "doors": COMMON | FIVE | {"approvals", "call", "catalog", "bridge"},
    "demo": COMMON
    | FIVE
    | {"approvals", "authorization", "catalog", "bridge", "doors", "sts", "resource", "settings", "app"},
    "app": COMMON
    | FIVE
    | {
        "approvals",
        "authorization",
        "call",
        "catalog",
        "permission",
        "bridge",
        "doors",
        "login",
        "sts",
        "settings",
        "tools",
    },
    "cli": COMMON
    | FIVE
    | {
        "approvals",
        "authorization",
        "call",
        "catalog",
        "permission",
        "bridge",
        "doors",
        "install",
        "login",
        "sts",
        "resource",
        "settings",
        "app",
        "demo",
    },
}

#: third-party or standard module → the places of src/remit that may import it
THIRD_PARTY: dict[str, tuple[str, ...]] = {
    "mcp": ("doors/mcp", "demo"),
    "mcp_types": ("doors/mcp", "demo"),
    "httpx": (
        "web.py",
        "tokens/jwks.py",
        "tokens/introspection.py",
        "exchange",
        "downstream",
        "login",
        "authorization/documents.py",
        "authorization/provider.py",
        "policy/opa.py",
        "demo",
    ),
    "httpx_aiohttp": ("web.py",),
    "aiohttp": ("web.py",),
    "httpx2": ("demo",),
    "jwt": (
        "tokens",
        "authorization",
        "sts/minting.py",
        "sts/keys/signing_key.py",
        "exchange/client_auth.py",
        "policy/signature.py",
    ),
    "regorus": ("policy/evaluator.py",),
    "sqlite3": ("database.py", "audit/store", "sts/revocation/file.py", "approvals", "authorization"),
    "jmespath": ("catalog",),
    "jsonpath_rfc9535": ("catalog/openapi/overlay_path.py",),
    "jsonschema_rs": ("catalog",),
    "yaml": ("catalog", "settings", "cli", "demo"),
    "typer": ("cli",),
    "rich": ("cli",),
    "starlette": ("doors", "sts/endpoints.py", "sts/form_endpoint.py", "authorization", "resource", "demo", "app"),
    "argon2": ("authorization/passwords.py",),
    "jinja2": ("authorization/pages.py",),
    "keyring": ("login",),
    "filelock": ("login", "authorization/passwords.py"),
    "platformdirs": ("login",),
    "uvicorn": ("app", "doors", "demo", "cli"),
}


def units() -> Iterator[tuple[str, Path]]:
    for path in sorted(ROOT.rglob("*.py")):
        relative = path.relative_to(ROOT)
        yield relative.parts[0].removesuffix(".py"), path


@cache
def nodes_of(path: Path) -> tuple[ast.AST, ...]:
    """Every node of a file's syntax tree."""
    return tuple(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))


def imports_of(path: Path) -> Iterator[tuple[str, int]]:
    """Every module named by an import statement, at any depth of the file (lazy imports count too)."""
    for node in nodes_of(path):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: relative import"
            assert node.module is not None
            yield node.module, node.lineno
            yield from ((f"{node.module}.{alias.name}", node.lineno) for alias in node.names)


def test_every_unit_has_its_row() -> None:
    found = {unit for unit, _ in units()} - {"__init__", "__main__"}
    assert found <= set(MAY_IMPORT), f"no row for {found - set(MAY_IMPORT)}"


@pytest.mark.parametrize("unit", sorted(MAY_IMPORT))
def test_a_unit_imports_only_what_its_row_allows(unit: str) -> None:
    breaches = []
    for owner, path in units():
        if owner != unit:
            continue
        for module, line in imports_of(path):
            parts = module.split(".")
            if parts[0] != "remit" or len(parts) < 2 or parts[1] == "__version__":
                continue
            if parts[1] != unit and parts[1] not in MAY_IMPORT[unit]:
                breaches.append(f"{path.relative_to(ROOT)}:{line} imports remit.{parts[1]}")
    assert not breaches


@pytest.mark.parametrize("library", sorted(THIRD_PARTY))
def test_a_library_is_imported_only_where_it_belongs(library: str) -> None:
    breaches = []
    for _, path in units():
        relative = path.relative_to(ROOT).as_posix()
        if any(
            relative == place or relative.startswith(f"{place}/") or relative == f"{place}.py"
            for place in THIRD_PARTY[library]
        ):
            continue
        breaches += [f"{relative}:{line}" for module, line in imports_of(path) if module.split(".")[0] == library]
    assert not breaches


def test_only_settings_reads_the_environment() -> None:
    breaches = []
    for unit, path in units():
        if unit == "settings":
            continue
        for node in nodes_of(path):
            if isinstance(node, ast.Attribute) and node.attr in {"environ", "getenv", "environb"}:
                breaches.append(f"{path.relative_to(ROOT)}:{node.lineno}")
    assert not breaches


def test_only_the_clock_asks_what_time_it_is() -> None:
    asking = {
        ("time", "time"),
        ("time", "time_ns"),
        ("time", "monotonic"),
        ("time", "perf_counter"),
        ("datetime", "now"),
    }
    breaches = []
    for _, path in units():
        if path.name == "clock.py":
            continue
        for node in nodes_of(path):
            if (
                isinstance(node, ast.Attribute)
                and isinstance(node.value, ast.Name)
                and (node.value.id, node.attr) in asking
            ):
                breaches.append(f"{path.relative_to(ROOT)}:{node.lineno}")
    assert not breaches


def test_the_modules_form_no_cycle() -> None:
    graph: dict[str, set[str]] = {}
    for _, path in units():
        name = ".".join(("remit", *path.relative_to(ROOT).with_suffix("").parts)).removesuffix(".__init__")
        graph[name] = {module for module, _ in imports_of(path)}
    known = set(graph)
    done: set[str] = set()

    def visit(module: str, trail: tuple[str, ...]) -> None:
        assert module not in trail, f"import cycle: {' → '.join([*trail[trail.index(module) :], module])}"
        if module in done:
            return
        for target in graph[module] & known - {module}:
            visit(target, (*trail, module))
        done.add(module)

    for module in graph:
        visit(module, ())
