"""Rule: what a policy reads of the input document has to be there, or its rules never hold."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from functools import cache
from typing import Any, Final

from remit.policy.expressions import references, resolved
from remit.policy.finding import Finding
from remit.policy.input import Phase, empty_document
from remit.policy.syntax import Module, aliases, place

#: What stands below these is not the document's to say.
_OPEN: Final = frozenset({"input.arguments", "input.resource.properties.facts", "input.result.data"})
#: A member of ``input.chain``, which is empty in the empty document.
_HOP: Final = {"type": "", "id": "", "issuer": "", "depth": 0}
_MAX_SHOWN: Final = 12


def unknown_members(module: Module) -> Iterator[Finding]:
    """Every reference to a member that no input document has."""
    named = aliases(module)
    for found in references([module["ast"]["imports"], module["ast"]["rules"]]):
        told = _missing(resolved(found, named))
        if told:
            message, hint = told
            yield Finding(place(module, found.span), "input_unknown", "error", message, hint)


def _missing(steps: tuple[str | None, ...]) -> tuple[str, str] | None:
    """What is wrong with a reference, and what may be meant; ``None`` where it may be there."""
    if steps[0] != "input":
        return None
    here: Any = _document()
    path = "input"
    for step in steps[1:]:
        if path in _OPEN or (step is None and isinstance(here, dict)):
            return None
        if isinstance(here, list):
            if step is not None:
                return f"{path} is a list: it has no member {step}", f"say `some each in {path}`"
            here, path = (_HOP if path == "input.chain" else ""), f"{path}[_]"
        elif not isinstance(here, dict):
            return f"{path} has no members", f"it is {_kind(here)}"
        elif step not in here:
            return f"there is no {path}.{step}", _meant(path, step or "", here)
        else:
            here, path = here[step], f"{path}.{step}"
    return None


def _meant(path: str, step: str, here: Mapping[str, Any]) -> str:
    elsewhere = [known for known in member_paths() if known.rpartition(".")[2] == step]
    close = get_close_matches(step, here, n=1) or get_close_matches(
        step, [name.rpartition(".")[2] for name in member_paths()]
    )
    if elsewhere:
        return f"{' or '.join(elsewhere)} is meant?"
    if close and close[0] in here:
        return f"{path}.{close[0]} is meant?"
    if close:
        return f"{next(known for known in member_paths() if known.endswith(f'.{close[0]}'))} is meant?"
    return f"{path} has {', '.join(list(here)[:_MAX_SHOWN])}"


def _kind(value: object) -> str:
    if isinstance(value, bool):
        return "true or false"
    return "a text" if isinstance(value, str) else "a number"


@cache
def _document() -> Mapping[str, Any]:
    return empty_document(Phase.TOOL_CALL)


@cache
def member_paths() -> tuple[str, ...]:
    """Every member, by its full name."""
    found: list[str] = []
    waiting: list[tuple[str, Any]] = [("input", _document())]
    while waiting:
        path, here = waiting.pop(0)
        if path == "input.chain":
            waiting.append(("input.chain[_]", _HOP))
        if isinstance(here, dict):
            below = [(f"{path}.{name}", value) for name, value in here.items()]
            found += [name for name, _ in below]
            waiting += below
    return tuple(found)
