"""What reading one description works with, and what a version of OpenAPI has to know (rule)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from remit.catalog.openapi.description import Body, Parameter, Response
from remit.catalog.openapi.references import Dangling, Place, References
from remit.catalog.openapi.schemas import Names, Notebook, SchemaTable


@dataclass(frozen=True, slots=True)
class Reading:
    """The description's files, the tables being filled, and the notes."""

    references: References
    notebook: Notebook
    requests: SchemaTable
    responses: SchemaTable

    @classmethod
    def of(cls, documents: Mapping[str, Any], root: str) -> Reading:
        """A fresh one. ``root`` names the main file."""
        references, notebook = References(documents, root), Notebook()
        names = Names(references.root)
        return cls(
            references,
            notebook,
            SchemaTable(references, names, notebook, "readOnly"),
            SchemaTable(references, names, notebook, "writeOnly"),
        )

    def follow(self, place: Place) -> Place:
        """What stands at ``place``, references followed. Raises ``Dangling``."""
        return self.references.follow(place)

    def follow_if_any(self, place: Place) -> Place:
        """The same, but with a note and an empty mapping where a reference leads nowhere."""
        try:
            return self.follow(place)
        except Dangling as dangling:
            self.notebook.add(place, f"left out: {dangling.reason}")
            return Place(place.file, place.pointer, {})


class Version(Protocol):
    """What differs between 2.0 and 3.x. Places are of objects whose references are followed."""

    @property
    def schemes(self) -> Place:
        """Where the security schemes stand."""

    def servers(self, place: Place) -> tuple[str, ...]:
        """The base URLs that the description, a path item or an operation gives."""

    def parameters(self, places: list[Place]) -> list[Parameter]:
        """All parameters but those that make up the body. Raises ``Unreadable``, ``Dangling``."""

    def body(self, operation: Place, parameters: list[Place]) -> Body | None:
        """The request body. Raises ``Dangling``."""

    def responses(self, operation: Place) -> tuple[Response, ...]:
        """What may be answered."""
