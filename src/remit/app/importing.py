"""An API description → a tool file (path).

1. choose among the operations, and map them to tools
2. say where the API is, and whom tokens are for
3. make the text of the file, or change the one that is there, and see that it loads
4. write the description beside the file, where it is elsewhere, and then the file

Steps 1 to 3 write nothing. An operation whose tool would not load is left out, with the reason.
"""

from __future__ import annotations

import glob
import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Final

from remit.app.import_check import Read, loadable
from remit.app.import_files import Beside, Planned, beside, contents_of, has, shown_path
from remit.app.import_source import Source
from remit.app.import_tools import Operations
from remit.app.import_update import update
from remit.catalog.definition import SCHEMA_FILE, tool_file_schema
from remit.catalog.loader import MAX_FILE_BYTES
from remit.catalog.openapi.description import Note
from remit.catalog.openapi.importing import Target, discovery_file, idle, notes_of, origin, scopes_of, tool_file
from remit.catalog.openapi.report import Report
from remit.catalog.openapi.selection import LeftOut, Selected, Selection, globs_of
from remit.errors import DefinitionInvalid, DescriptionInvalid

#: Takes the place of an address until somebody says it.
_UNKNOWN: Final = "https://unknown.invalid"
_NARROW: Final = "narrow it down with --tag, --include or --operation"


def plan(operations: Operations, selection: Selection, environment: Mapping[str, str]) -> Planned:
    """What an import would write. Raises ``DescriptionInvalid``, ``DefinitionInvalid``."""
    source = operations.source
    read = Read(operations.described, environment)
    if source.present is None:
        made = _new(operations, selection, read)
    else:
        made = update(operations, selection, source.present)
        read.check(made.files[source.output].decode(), made.report.output)
    size = len(made.files[source.output])
    if size > MAX_FILE_BYTES and not made.report.too_much:
        what = f"the tool file would be larger than {MAX_FILE_BYTES} bytes"
        raise DefinitionInvalid(what, where=made.report.output, hint=_NARROW)
    return made


def _new(operations: Operations, selection: Selection, read: Read) -> Planned:
    source, asked = operations.source, operations.source.asked
    chosen = operations.select(selection)
    taken, faults = operations.taken(chosen.taken)
    place = beside(source, source.output.parent.resolve() / source.name)
    target = _target(operations, place)
    schema, more = _schema(source.output)
    report = Report(
        description=source.description,
        output=source.output.as_posix(),
        base_url=target.base_url,
        audience=target.audience,
        taken=taken,
        left_out=operations.unreadable + faults + chosen.left_out,
        budget=asked.budget,
        notes=(*_notes(operations, target), *idle(chosen), *source.description.notes),
        copied=tuple(shown_path(source, path) for path in place.copies),
        is_discovery=asked.discover,
    )
    if asked.discover:
        text = _discovery(target, report, chosen, selection, schema)
        read.check(_discovery(_known(target), report, chosen, selection, schema), report.output)
        report = _with_scopes(report, target)
    else:
        report = _loading(report, target, read)
        text = tool_file(target, report.taken, schema)
    if not report.taken:
        raise _nothing(source, report.left_out)
    copies = contents_of(place.copies)
    if not asked.force:
        _refuse_other_contents(copies)
    return Planned(report, {**copies, **more, source.output: text.encode()})


def _target(operations: Operations, place: Beside) -> Target:
    """What the file says of the API. Raises ``DefinitionInvalid``."""
    source, asked = operations.source, operations.source.asked
    base_url = (asked.base_url or operations.base.url).rstrip("/")
    audience = asked.audience or ("" if "${" in base_url else origin(base_url))
    if base_url and not audience:
        raise DefinitionInvalid("nobody says whom tokens are for", where="--audience", hint="give it beside --base-url")
    return Target(source.name, base_url, audience, asked.scopes, place.openapi, place.overlays, source.profile)


def _notes(operations: Operations, target: Target) -> tuple[Note, ...]:
    description = operations.source.description
    return notes_of(description, operations.base, audience=target.audience, base_url=target.base_url)


def _discovery(target: Target, report: Report, chosen: Selected, selection: Selection, schema: str) -> str:
    """The file whose operations are found when they are needed, with all scopes that these may ask for."""
    candidates = [each.candidate for each in report.taken]
    scopes = dict.fromkeys([*target.scopes, *(scope for each in candidates for scope in scopes_of(each.operation))])
    include, exclude = globs_of(selection, candidates)
    unusable = (each for each in chosen.taken if each not in candidates)
    exclude = (*exclude, *(glob.escape(each.reference) for each in unusable))
    discover = {
        "include": list(include),
        "exclude": list(exclude),
        "deprecated": any(each.operation.deprecated for each in candidates),
        "scopes": list(target.scopes) if any(map(scopes_of, report.description.operations)) else [],
    }
    said = {key: value for key, value in discover.items() if value}
    return discovery_file(replace(target, scopes=tuple(scopes)), said, schema)


def _with_scopes(report: Report, target: Target) -> Report:
    """Without the operations that are found with no scopes of their own, where others have some and nobody names any."""
    if target.scopes or not any(map(scopes_of, report.description.operations)):
        return report
    without = [each for each in report.taken if not scopes_of(each.candidate.operation)]
    reason = "the description names no scopes for it: --scope does"
    left_out = tuple(LeftOut.of(each.candidate.operation, reason, is_fault=True) for each in without)
    taken = tuple(each for each in report.taken if each not in without)
    return replace(report, taken=taken, left_out=report.left_out + left_out)


def _known(target: Target) -> Target:
    """The target with something in the place of an address that nobody has said yet."""
    return target if target.base_url else replace(target, base_url=_UNKNOWN, audience=_UNKNOWN)


def _loading(report: Report, target: Target, read: Read) -> Report:
    """The report without the tools that would not load. Raises ``DefinitionInvalid``."""
    if report.too_much or not report.taken:
        return report
    known = _known(target)
    taken, faults = loadable(lambda tools: tool_file(known, tools, SCHEMA_FILE), report.taken, report.output, read)
    return replace(report, taken=taken, left_out=report.left_out + faults)


def _nothing(source: Source, left_out: tuple[LeftOut, ...]) -> DescriptionInvalid:
    where = source.asked.file.as_posix()
    if not left_out:
        return DescriptionInvalid("the API description has no operations", where=where, hint="give its main file")
    counts = {each.reason: sum(other.reason == each.reason for other in left_out) for each in left_out}
    said = ", ".join(f"{count} {reason[:100]}" for reason, count in list(counts.items())[:5])
    hint = "see --tag, --include, --operation and --deprecated"
    return DescriptionInvalid(f"no operation is left to take: {said}", where=where, hint=hint)


def _schema(output: Path) -> tuple[str, dict[Path, bytes]]:
    """Where editors find the grammar of the file, and the grammar itself where it is not there yet."""
    for prefix, folder in (("", output.parent), ("../", output.parent.parent)):
        if (folder / SCHEMA_FILE).is_file():
            return f"{prefix}{SCHEMA_FILE}", {}
    text = json.dumps(tool_file_schema(), indent=2, ensure_ascii=False) + "\n"
    return SCHEMA_FILE, {output.parent / SCHEMA_FILE: text.encode()}


def _refuse_other_contents(copies: Mapping[Path, bytes]) -> None:
    for path, content in copies.items():
        if path.exists() and not has(path, content):
            hint = "choose another --name, or write over it with --force"
            raise DefinitionInvalid(
                "the description would be copied over another file", where=path.as_posix(), hint=hint
            )
