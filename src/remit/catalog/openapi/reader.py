"""Documents → the description they make up (rule). An operation that cannot be read is skipped with a reason."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final
from urllib.parse import parse_qsl, quote

from remit.catalog.openapi.description import METHODS, Description, Method, Operation, Parameter, Skipped
from remit.catalog.openapi.parameters import Unreadable, merged, path_parameters
from remit.catalog.openapi.reading import Reading, Version
from remit.catalog.openapi.references import Dangling, Place
from remit.catalog.openapi.security import needed_for
from remit.catalog.openapi.v2 import Version2
from remit.catalog.openapi.v3 import Version3
from remit.errors import DescriptionInvalid

MAX_OPERATIONS: Final = 20_000
MAX_TAGS: Final = 50
_DIALECT: Final = re.compile(r"(3\.[0-9]{1,2})(?:\..*)?")
_METHODS: Final[dict[str, Method]] = {method.lower(): method for method in METHODS}
#: Methods that OpenAPI knows and tools do not have.
_OTHER_METHODS: Final = ("options", "trace", "query")
_BRACED: Final = re.compile(r"(\{[^{}]*\})")
#: What is sent as written; a brace that is left over is found out by the parameters.
_PATH_CHARACTERS: Final = "/%!$&'()*+,;=:@~{}"


def describe(documents: Mapping[str, Any], root: str | None = None) -> Description:
    """The description whose main file is ``root`` (the first, if not said). Its digest and files stay empty.

    ``documents``: plain data (as JSON has it, keys are texts) by file name, relative to the description's folder;
    a file is asked for when a reference leads to it, and a ``FileRefused`` says why it is not had.
    Raises ``DescriptionInvalid`` where the main file is no description.
    """
    reading = Reading.of(documents, next(iter(documents)) if root is None else root)
    place = reading.references.root
    dialect = _dialect(place)
    version: Version = Version2(reading) if dialect == "2.0" else Version3(reading)
    operations = _Operations(reading, version)
    operations.read(reading.follow_if_any(place.at("paths")))
    return Description(
        title=place.at("info").text("title"),
        version=_version_text(place.at("info", "version").value),
        dialect=dialect,
        operations=tuple(operations.found),
        skipped=tuple(operations.skipped),
        notes=reading.notebook.notes,
        servers=version.servers(place),
        schemas=reading.requests.table,
        response_schemas=reading.responses.table,
    )


def _dialect(place: Place) -> str:
    """``2.0``, ``3.0`` …; a later 3.x is read like the last known one."""
    if not isinstance(place.value, dict):
        raise DescriptionInvalid("an API description is a mapping", where=place.file, hint="give an OpenAPI file")
    written = _version_text(place.mapping.get("openapi", place.mapping.get("swagger")))
    if written in {"2", "2.0"}:
        return "2.0"
    known = _DIALECT.fullmatch("3.0" if written == "3" else written)
    if known is None:
        said = f'openapi: "{written[:20]}"' if written else "no version"
        raise DescriptionInvalid(
            f"an API description of OpenAPI 2.0 or 3.x is needed, and this says {said}",
            where=place.file,
            hint="give the description's main file, or convert it",
        )
    return known[1]


def _version_text(value: Any) -> str:
    return str(value).strip() if isinstance(value, str | int | float) and not isinstance(value, bool) else ""


@dataclass(slots=True)
class _Operations:
    """The operations as they are found."""

    reading: Reading
    version: Version
    found: list[Operation] = field(default_factory=list)
    skipped: list[Skipped] = field(default_factory=list)
    #: By where the operation and its path item stand: a thousand paths may refer to one item.
    _anywhere: dict[tuple[str, str], Operation] = field(default_factory=dict)

    def read(self, paths: Place) -> None:
        """Every operation below ``paths``, up to ``MAX_OPERATIONS``."""
        for path, place in paths.members():
            if path.startswith("x-"):
                continue
            for method, operation, shared in self._operations_of(path, place):
                if len(self.found) + len(self.skipped) >= MAX_OPERATIONS:
                    self.reading.notebook.add(operation, f"more than {MAX_OPERATIONS} operations: the rest is left out")
                    return
                self._add(method, path, operation, shared)

    def _operations_of(self, path: str, place: Place) -> Iterator[tuple[str, Place, Place]]:
        """Method, operation and path item: of the item itself, and of the one it refers to."""
        try:
            referred = self.reading.follow(place)
        except Dangling as dangling:
            self.skipped.append(Skipped("*", path, place.where, dangling.reason))
            referred = place
        seen: set[str] = set()
        for item in (place, referred):
            for method, operation in _methods_of(item):
                if method not in seen:
                    seen.add(method)
                    yield method, operation, item if "parameters" in item.mapping else referred

    def _add(self, method: str, path: str, place: Place, item: Place) -> None:
        try:
            self.found.append(self._operation(method, path, place, item))
        except (Unreadable, Dangling) as error:
            self.skipped.append(Skipped(method.upper(), path, place.where, error.reason, place.text("operationId")))

    def _operation(self, method: str, path: str, place: Place, item: Place) -> Operation:
        if method.lower() not in _METHODS:
            raise Unreadable(f"tools have no method {method.upper()[:40]}")
        place = self.reading.follow(place)  # not by the specification, but many split their files so
        if not isinstance(place.value, dict):
            raise Unreadable("it is no operation")
        bare, constants = _split(path)
        key = (place.where, item.where)
        if key not in self._anywhere:
            self._anywhere[key] = self._read(_METHODS[method.lower()], place, item)
        operation = self._anywhere[key]
        parameters = path_parameters(bare, operation.parameters, place, self.reading.notebook)
        return replace(operation, path=bare, parameters=_with_constants(parameters, constants))

    def _read(self, method: Method, place: Place, item: Place) -> Operation:
        """What the operation says at whichever path it stands."""
        follow = self.reading.follow
        shared, own = ([follow(child) for child in follow(at.at("parameters")).items()] for at in (item, place))
        written = merged(shared, own, self.reading.notebook)
        needed = needed_for(place, self.version, self.reading)
        return Operation(
            id=place.text("operationId"),
            method=method,
            path="",
            pointer=place.where,
            summary=place.text("summary"),
            description=place.text("description"),
            tags=place.texts("tags")[:MAX_TAGS],
            deprecated=place.flag("deprecated"),
            parameters=tuple(self.version.parameters(written)),
            body=self.version.body(place, written),
            responses=self.version.responses(place),
            scopes=needed.scopes,
            audiences=needed.audiences,
            servers=self.version.servers(place) or self.version.servers(item),
        )


def _methods_of(item: Place) -> Iterator[tuple[str, Place]]:
    for method in (*_METHODS, *_OTHER_METHODS):
        if method in item.mapping:
            yield method, item.at(method)
    for method, operation in item.at("additionalOperations").members():
        yield method if method not in _METHODS.values() else method.lower(), operation


def _split(path: str) -> tuple[str, dict[str, str]]:
    """The path as it is sent, and what it says about the query; a fragment is never sent."""
    if not path.isprintable():
        raise Unreadable("its path holds characters that cannot be printed")
    bare, _, query = path.partition("#")[0].partition("?")
    parts = _BRACED.split(bare if bare.startswith("/") else f"/{bare}")
    encoded = "".join(part if index % 2 else quote(part, safe=_PATH_CHARACTERS) for index, part in enumerate(parts))
    return encoded, {name: value for name, value in parse_qsl(query, keep_blank_values=True) if "{" not in value}


def _with_constants(parameters: tuple[Parameter, ...], constants: dict[str, str]) -> tuple[Parameter, ...]:
    """What the path says about the query is a parameter of one possible value."""
    known = {parameter.name for parameter in parameters if parameter.location == "query"}
    return parameters + tuple(
        Parameter(name, "query", required=True, schema={"type": "string", "enum": [value]})
        for name, value in constants.items()
        if name not in known
    )
