"""The import of a description that a tool file was made of before (path): what is different, and the file as it would be."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import PurePosixPath
from typing import Any

from remit.app.import_files import Beside, Planned, beside, contents_of, shown_path
from remit.app.import_source import Source
from remit.app.import_tools import Operations
from remit.catalog.openapi.description import Note
from remit.catalog.openapi.importing import idle
from remit.catalog.openapi.report import Report, Taken
from remit.catalog.openapi.selection import LeftOut, Selected, Selection, by_reference
from remit.catalog.openapi.updating import Present, updated

_IN_PLACE = Note(
    "", "the description was changed in its place: `remit tools lock` shows how its tools differ from the approved"
)
_SAID = Note("", "the file says the name, the address and whom tokens are for: change them there")


def update(operations: Operations, selection: Selection, file: Present) -> Planned:
    """What would be written. Raises ``DescriptionInvalid``, ``DefinitionInvalid``."""
    source = operations.source
    chosen = operations.select(selection)
    now = _tools_of(operations, file)
    before = _tools_of(Operations(replace(source, description=source.before)), file) if source.before else {}
    tools, faults = operations.taken(chosen.taken)
    main = PurePosixPath(file.openapi)
    place = beside(source, (source.output.parent / main).parent.resolve(), name=main.name)
    changed = _upstream(source, file, place)
    where = source.output.as_posix()
    done = updated(file, where, before=before, now=now, wanted=tools, upstream=changed)
    kept = tuple(now.values())
    others = _others(chosen, {each.candidate.operation.pointer for each in (*kept, *done.added)})
    copies = contents_of(place.copies)
    report = Report(
        description=source.description,
        output=where,
        base_url=file.base_url,
        audience=file.audience,
        taken=(*kept, *done.added),
        left_out=operations.unreadable + faults + others,
        budget=source.asked.budget,
        notes=(*_notes(source, file), *idle(chosen), *source.description.notes),
        copied=tuple(shown_path(source, path) for path in copies),
        changes=done.changes,
        is_update=True,
    )
    return Planned(report, {**copies, source.output: done.text.encode()})


def _tools_of(operations: Operations, file: Present) -> dict[str, Taken]:
    """The tools of the file as the description has them, by what the file calls their operations."""
    known = by_reference(operations.candidates)
    entries = [(each, known[each.operation]) for each in file.entries if each.operation in known]
    described = {candidate.reference: each.description for each, candidate in entries if each.description is not None}
    taken, _ = operations.taken([candidate for _, candidate in entries], described)
    by_place = {each.candidate.operation.pointer: each for each in taken}
    found: dict[str, Taken] = {}
    for each, candidate in entries:
        tool = by_place.get(candidate.operation.pointer)
        if tool is not None:
            found[each.operation] = replace(tool, candidate=replace(candidate, name=each.name))
    return found


def _upstream(source: Source, file: Present, place: Beside) -> Mapping[str, Any]:
    """What the file has to say differently about the API."""
    changed: dict[str, Any] = {}
    if PurePosixPath(file.openapi) != PurePosixPath(place.openapi):
        changed["openapi"] = place.openapi
    if list(map(PurePosixPath, file.overlays)) != list(map(PurePosixPath, place.overlays)):
        changed["overlays"] = list(place.overlays)
    if source.profile != file.profile:
        changed["profile"] = source.profile
    return changed


def _others(chosen: Selected, in_file: set[str]) -> tuple[LeftOut, ...]:
    """What is neither in the file nor comes into it."""
    return tuple(each for each in chosen.left_out if each.pointer not in in_file)


def _notes(source: Source, file: Present) -> tuple[Note, ...]:
    asked = source.asked
    said = ((asked.name, file.name), (asked.base_url.rstrip("/"), file.base_url), (asked.audience, file.audience))
    differs = any(new and new != old for new, old in said) or bool(asked.scopes)
    return (*((_SAID,) if differs else ()), *((_IN_PLACE,) if source.before is None else ()))
