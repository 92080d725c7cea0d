"""An API description → a tool file (path).

1. choose among the operations, and map them to tools
2. say where the API is, and whom tokens are for
3. make the text of the file, or change the one that is there
4. write the description beside the file, where it is elsewhere, and then the file

Steps 1 to 3 write nothing.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from remit.app.import_files import Planned, beside, contents_of, has, shown_path
from remit.app.import_source import Source
from remit.app.import_tools import Operations
from remit.app.import_update import update
from remit.catalog.definition import SCHEMA_FILE, tool_file_schema
from remit.catalog.loader import MAX_FILE_BYTES
from remit.catalog.openapi.importing import Target, discovery_file, idle, notes_of, origin, tool_file
from remit.catalog.openapi.report import Report
from remit.catalog.openapi.selection import LeftOut, Selection, globs_of
from remit.errors import DefinitionInvalid, DescriptionInvalid

_NARROW: Final = "narrow it down with --tag, --include or --operation"


def plan(operations: Operations, selection: Selection) -> Planned:
    """What an import would write. Raises ``DescriptionInvalid``, ``DefinitionInvalid``."""
    source = operations.source
    made = _new(operations, selection) if source.present is None else update(operations, selection, source.present)
    size = len(made.files[source.output])
    if size > MAX_FILE_BYTES and not made.report.too_much:
        what = f"the tool file would be larger than {MAX_FILE_BYTES} bytes"
        raise DefinitionInvalid(what, where=made.report.output, hint=_NARROW)
    return made


def _new(operations: Operations, selection: Selection) -> Planned:
    source, asked = operations.source, operations.source.asked
    chosen = operations.select(selection)
    taken, faults = operations.taken(chosen.taken)
    left_out = operations.unreadable + faults + chosen.left_out
    if not taken:
        raise _nothing(source, left_out)
    base_url = (asked.base_url or operations.base.url).rstrip("/")
    audience = asked.audience or ("" if "${" in base_url else origin(base_url))
    if base_url and not audience:
        raise DefinitionInvalid("nobody says whom tokens are for", where="--audience", hint="give it beside --base-url")
    place = beside(source, source.output.parent.resolve() / source.name)
    target = Target(source.name, base_url, audience, asked.scopes, place.openapi, place.overlays, source.profile)
    schema, more = _schema(source.output)
    if asked.discover:
        text = discovery_file(target, *globs_of(selection, chosen.taken), schema)
    else:
        text = tool_file(target, taken, schema)
    copies = contents_of(place.copies)
    if not asked.force:
        _refuse_other_contents(copies)
    notes = notes_of(source.description, operations.base, audience=audience, base_url=base_url)
    report = Report(
        description=source.description,
        output=source.output.as_posix(),
        base_url=base_url,
        audience=audience,
        taken=taken,
        left_out=left_out,
        budget=asked.budget,
        notes=(*notes, *idle(chosen), *source.description.notes),
        copied=tuple(shown_path(source, path) for path in copies),
        is_discovery=asked.discover,
    )
    return Planned(report, {**copies, **more, source.output: text.encode()})


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
