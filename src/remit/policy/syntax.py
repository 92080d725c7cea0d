"""Rule: reading the syntax tree of a policy, as the embedded engine gives it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

#: One module: ``{"source": {"file", "contents"}, "ast": {"package", "imports", "rules", …}}``.
Module = Mapping[str, Any]


def package_of(module: Module) -> str:
    """``remit.authz``; empty where a step of it is in brackets."""
    return path(module["ast"]["package"]["refr"])


def heads(module: Module) -> Iterator[tuple[Mapping[str, Any], bool]]:
    """The name of each rule, as a reference, and whether it is a function."""
    for rule in module["ast"]["rules"]:
        (kind, body), *_ = rule.items()
        if kind == "Default":
            yield body["refr"], bool(body["args"])
        else:
            (head_kind, head), *_ = body["head"].items()
            yield head["refr"], head_kind == "Func"


def path(ref: Mapping[str, Any]) -> str:
    """``a.b.c``; empty where a step is computed, ``a["b"]`` included."""
    steps: list[str] = []
    while True:
        match ref:
            case {"RefDot": {"refr": inner, "field": [_, str(step)]}}:
                steps.append(step)
                ref = inner
            case {"Var": {"value": str(name)}}:
                return ".".join([name, *reversed(steps)])
            case _:
                return ""


def nodes(tree: Any) -> Iterator[Mapping[str, Any]]:
    """Every object of the tree, in order, however deep: without recursion."""
    waiting = [tree]
    while waiting:
        node = waiting.pop()
        if isinstance(node, dict):
            yield node
            waiting.extend(reversed(node.values()))
        elif isinstance(node, list):
            waiting.extend(reversed(node))


def line_of(rule: Mapping[str, Any]) -> int:
    """The first line of a rule."""
    (body,) = rule.values()
    return int(body["span"]["line"])


def aliases(module: Module) -> dict[str, str]:
    """What each import is called here: ``{"tables": "data.remit_data"}``."""
    text = module["source"]["contents"].encode()
    named: dict[str, str] = {}
    for imported in module["ast"]["imports"]:
        name, span = path(imported["refr"]), imported.get("as")
        alias = text[span["start"] : span["end"]].decode() if span else name.rpartition(".")[2]
        named[alias] = name
    return named


def place(module: Module, span: Mapping[str, Any]) -> str:
    """``file:line:column`` of a span's first byte: the engine counts a tab as four columns, editors do not."""
    before = module["source"]["contents"].encode()[: span["start"]]
    line, column = before.count(b"\n") + 1, span["start"] - before.rfind(b"\n")
    return f"{module['source']['file']}:{line}:{column}"
