"""Rule: an input document that somebody wrote by hand, made total."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from remit.policy.input import Phase, empty_document

#: Below these anything may stand.
_OPEN: Final = frozenset({"input.arguments", "input.resource.properties.facts", "input.result.data"})


@dataclass(frozen=True, slots=True)
class Completed:
    """A total document. ``filled`` are the members that were missing, ``unknown`` those that no document has."""

    document: Mapping[str, Any]
    filled: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()


def completed(given: Any) -> Completed:
    """What is missing is empty, as it would be of a caller of whom nothing is known; lists are taken as they are.

    A document inside of ``{"input": …}`` is taken out of it. Raises ``ValueError`` for what is no input document.
    """
    match given:
        case {"input": dict(inner), **others} if not others:
            given = inner
        case dict():
            pass
        case _:
            raise ValueError("the input is not an object")
    phase = given.get("phase", Phase.TOOL_CALL)
    if phase not in set(Phase):
        raise ValueError(f"input.phase is none of {', '.join(Phase)}")
    filled: list[str] = []
    unknown: list[str] = []
    document = _merged("input", empty_document(Phase(phase)), given, filled, unknown)
    return Completed(document, tuple(filled), tuple(unknown))


def _merged(
    path: str, empty: Mapping[str, Any], given: Mapping[str, Any], filled: list[str], unknown: list[str]
) -> dict[str, Any]:
    document: dict[str, Any] = {}
    for name, default in empty.items():
        member = f"{path}.{name}"
        if name not in given:
            filled.append(member)
            document[name] = default
        elif isinstance(default, dict) and member not in _OPEN:
            if not isinstance(given[name], dict):
                raise ValueError(f"{member} is not an object")
            document[name] = _merged(member, default, given[name], filled, unknown)
        else:
            document[name] = given[name]
    strangers = given.keys() - empty.keys()
    unknown += [f"{path}.{name}" for name in sorted(strangers)]
    return document | {name: given[name] for name in strangers}
