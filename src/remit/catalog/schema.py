"""JSON Schema 2020-12, compiled when it is loaded (rule).

A compiled schema takes twenty times the memory of its text, and a tenth of a millisecond to be made again. So only those
used last are kept: the tools that are called, not all that there are.

References stay inside the schema: nothing is ever fetched. Messages name the place and the rule and never
repeat the value, because arguments belong neither in logs nor in the trail.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from itertools import islice
from typing import Any, Final

import jsonschema_rs

from remit.catalog.problem import Path

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
_VALUE: Final = "the value"
_PATTERNS: Final = jsonschema_rs.FancyRegexOptions(backtrack_limit=100_000)
_MAX_NAMED: Final = 5
_MAX_COMPILED: Final = 128


class SchemaInvalid(ValueError):
    """Not a usable schema; ``path`` leads to the place inside it."""

    def __init__(self, message: str, path: Path = ()) -> None:
        super().__init__(message)
        self.path = path


class Schema:
    """A schema that can be used. Raises ``SchemaInvalid`` when it is none. ``document`` is not to be changed any more."""

    __slots__ = ("_document",)

    def __init__(self, document: dict[str, Any]) -> None:
        if document.get("$schema", DIALECT) != DIALECT:
            raise SchemaInvalid(f'$schema is not "{DIALECT}"', ("$schema",))
        self._document = document
        try:
            _compiled(self)
        except jsonschema_rs.ValidationError as error:
            raise SchemaInvalid(_sentence(error)[:300], tuple(error.instance_path)) from None
        except ValueError as error:  # a value that JSON does not have
            raise SchemaInvalid(str(error)[:300]) from None

    def problems(self, instance: Any, *, limit: int = 5) -> list[str]:
        """What is wrong with ``instance``: ``path: rule``, at most ``limit`` of them; empty when it fits."""
        try:
            return list(islice(self._sentences(instance), limit))
        except ValueError as error:
            # lone surrogates, numbers or keys that JSON does not have
            return [f"not plain JSON: {type(error).__name__}"]

    def _sentences(self, instance: Any) -> Iterator[str]:
        validator = _compiled(self)
        if validator.is_valid(instance):
            return
        for error in validator.iter_errors(instance):
            where = ".".join(str(step)[:40] for step in error.instance_path)
            yield f"{where}: {_sentence(error)}" if where else _sentence(error)


@lru_cache(_MAX_COMPILED)
def _compiled(schema: Schema) -> jsonschema_rs.Draft202012Validator:
    """By the object, which is the only one of its kind."""
    return jsonschema_rs.Draft202012Validator(
        schema._document,  # noqa: SLF001  a part of the class that keeps what it makes elsewhere
        validate_formats=True,
        mask=_VALUE,
        offline=True,
        pattern_options=_PATTERNS,
    )


def _sentence(error: jsonschema_rs.ValidationError) -> str:
    match error.kind:
        case jsonschema_rs.ValidationErrorKind.AdditionalProperties(unexpected):
            named = ", ".join(f'"{name[:40]}"' for name in unexpected[:_MAX_NAMED] if name.isprintable())
            return f"no such argument: {named or 'an unprintable name'}"
        case jsonschema_rs.ValidationErrorKind.Required(name):
            return f'"{name}" is required'
    return error.message.removeprefix(f"{_VALUE} ")[:200]
