"""Overlays 1.0 and 1.1: what a company changes about a description that is somebody else's (rule).

The vendor's file stays as it is, and the next version of it gets the same changes. An action whose target is nowhere is
noted; one that cannot be done as it says makes the overlay unusable. ``extends`` is not read: who names an overlay says
what it is for.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from remit.catalog.openapi.description import Note
from remit.catalog.openapi.text import MAX_DEPTH, MAX_WEIGHT
from remit.errors import DescriptionInvalid

MAX_ACTIONS: Final = 2_000
_VERSION: Final = re.compile(r"1\.[0-9]{1,2}(?:\..*)?")
_HINT: Final = "see https://spec.openapis.org/overlay/v1.1.0.html"
_NAMES: Final = {"object": "a mapping", "list": "a list", "value": "a single value"}
_Kind = Literal["update", "copy", "remove"]
#: Keys of mappings and indices of lists, from the root.
_Location = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Action:
    """One change: ``value`` is what is merged (``update``), or the path to it (``copy``)."""

    kind: _Kind
    target: str
    value: Any
    where: str


@dataclass(frozen=True, slots=True)
class Overlay:
    """A list of changes. ``name``: its file. ``digest``: SHA-256 of its bytes, empty where it is from no file."""

    name: str
    title: str
    actions: tuple[Action, ...] = field(repr=False)
    digest: str = ""


@dataclass(frozen=True, slots=True)
class Applied:
    """The changed document, and the actions that changed nothing."""

    document: Any = field(repr=False)
    notes: tuple[Note, ...] = ()


def read_overlay(document: Any, name: str, digest: str = "") -> Overlay:
    """The overlay that ``document`` is. Raises ``DescriptionInvalid``."""
    version = str(document.get("overlay", "")) if isinstance(document, dict) else ""
    if not _VERSION.fullmatch(version.strip()):
        said = f'says overlay: "{version[:20]}"' if version else "is none"
        raise DescriptionInvalid(f"an overlay of version 1.0 or 1.1 is needed, and this {said}", where=name, hint=_HINT)
    actions = document.get("actions")
    if not isinstance(actions, list) or not 1 <= len(actions) <= MAX_ACTIONS:
        raise DescriptionInvalid(f"an overlay has a list of 1 to {MAX_ACTIONS} actions", where=name, hint=_HINT)
    info = document.get("info")
    title = info.get("title", "") if isinstance(info, dict) else ""
    made = tuple(_action(action, f"{name}#/actions/{index}") for index, action in enumerate(actions))
    return Overlay(name, str(title), made, digest)


def _action(action: Any, where: str) -> Action:
    target = action.get("target") if isinstance(action, dict) else None
    if not isinstance(target, str):
        raise DescriptionInvalid("an action of an overlay has no target", where=where, hint=_HINT)
    if action.get("remove") is True:
        return Action("remove", target, None, where)
    said: list[_Kind] = [kind for kind in ("update", "copy") if kind in action]
    if len(said) != 1:
        fault = "both update and copy" if said else "none of update, copy and remove"
        raise DescriptionInvalid(f"an action of an overlay says {fault}", where=where, hint=_HINT)
    if said[0] == "copy" and not isinstance(action["copy"], str):
        raise DescriptionInvalid("what an overlay copies is named by a path", where=where, hint=_HINT)
    return Action(said[0], target, action[said[0]], where)


def apply(document: Any, overlays: Sequence[Overlay]) -> Applied:
    """The document with all changes made, in order; ``document`` itself stays as it is. Raises ``DescriptionInvalid``."""
    changing = _Changing(document)
    for action in (action for overlay in overlays for action in overlay.actions):
        try:
            changing.do(action)
        except ValueError as error:
            raise DescriptionInvalid(f"an overlay cannot be applied: {error}", where=action.where, hint=_HINT) from None
    return Applied(changing.document, tuple(changing.notes))


class _Unfit(ValueError):
    """The change does not fit what is there."""


class _Changing:
    """The document while it is being changed: what is written to is copied first, the rest is shared."""

    def __init__(self, document: Any) -> None:
        self.document = document
        self.notes: list[Note] = []
        self._own: dict[int, Any] = {}  # by id, and kept alive, so that no id comes twice
        self._added = 0

    def do(self, action: Action) -> None:
        from remit.catalog.openapi.overlay_path import selected  # noqa: PLC0415  slow to import, and few have overlays

        targets = selected(action.target, self.document)
        if not targets:
            self.notes.append(Note(action.where, f"the target {action.target[:200]} is nowhere in the description"))
            return
        if action.kind == "remove":
            self._remove(list(targets))
            return
        value = action.value
        if action.kind == "copy":
            value = self._only(action.value, selected(action.value, self.document))
            self._own.clear()  # it stays as it is, even where it is copied into itself
        if len({_kind(each) for each in targets.values()}) > 1:
            raise _Unfit("its target is things of several kinds")
        self._check_growth(value, list(targets))
        for location in targets:
            self._update(location, value)
        if action.kind == "copy":
            self._own.clear()  # what was copied is in two places now

    def _only(self, path: str, found: dict[_Location, Any]) -> Any:
        if len(found) != 1:
            raise _Unfit(f"{path[:200]}, which it copies, is {len(found)} things and has to be one")
        return next(iter(found.values()))

    def _check_growth(self, value: Any, targets: list[_Location]) -> None:
        count, depth = _measured(value, {})
        self._added += count * len(targets)
        if self._added > MAX_WEIGHT:
            raise _Unfit("it makes the description too large")
        if depth + max(map(len, targets)) > MAX_DEPTH:
            raise _Unfit("it makes the description too deep")

    def _update(self, location: _Location, value: Any) -> None:
        if not location:
            self.document = self._merged(self.document, value, "$")
            return
        parent, key = self._parent(location), location[-1]
        if isinstance(parent[key], list) and not isinstance(value, list):
            value = [value]  # one entry more
        parent[key] = self._merged(parent[key], value, str(key))

    def _merged(self, present: Any, value: Any, at: str) -> Any:
        match _kind(present), _kind(value):
            case "object", "object":
                new = self._owned(present)
                for key, member in value.items():
                    new[key] = self._merged(new[key], member, key) if key in new else member
                return new
            case "list", "list":
                return [*present, *value]
            case "value", "value":
                return value
            case there, other:
                raise _Unfit(f'at "{at[:100]}" is {_NAMES[there]}, and {_NAMES[other]} cannot be merged into that')

    def _remove(self, locations: list[_Location]) -> None:
        if () in locations:
            raise _Unfit("it would remove the whole description")
        # The last of a list first, and what is inside before what is around it.
        for location in sorted(locations, key=_backwards, reverse=True):
            del self._parent(location)[location[-1]]

    def _parent(self, location: _Location) -> Any:
        """The container that holds the location, ours to change."""
        here = self.document = self._owned(self.document)
        for key in location[:-1]:
            here[key] = self._owned(here[key])
            here = here[key]
        return here

    def _owned(self, container: Any) -> Any:
        if id(container) in self._own:
            return container
        new = dict(container) if isinstance(container, dict) else list(container)
        self._own[id(new)] = new
        return new


def _kind(value: Any) -> Literal["object", "list", "value"]:
    return "object" if isinstance(value, dict) else "list" if isinstance(value, list) else "value"


def _backwards(location: _Location) -> tuple[tuple[int, str], ...]:
    return tuple((key, "") if isinstance(key, int) else (-1, key) for key in location)


def _measured(value: Any, known: dict[int, tuple[int, int]]) -> tuple[int, int]:
    """How much that is, as ``MAX_WEIGHT`` counts, and how deep; what is there several times counts as often."""
    if not isinstance(value, dict | list):
        return 1 + (len(value) // 16 if isinstance(value, str) else 0), 0
    if id(value) not in known:
        below = [_measured(each, known) for each in (value.values() if isinstance(value, dict) else value)]
        known[id(value)] = 1 + sum(count for count, _ in below), 1 + max((depth for _, depth in below), default=0)
    return known[id(value)]
