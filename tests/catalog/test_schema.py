"""Schemas are checked when they are made, and check arguments however many there are of them."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from remit.catalog.schema import Schema, SchemaInvalid


def taking(number: int) -> Schema:
    """A schema that one number fits."""
    return Schema({"type": "object", "properties": {"n": {"const": number}}, "required": ["n"]})


def test_each_of_very_many_schemas_is_still_itself() -> None:
    schemas = [taking(number) for number in range(500)]
    for number, schema in enumerate(schemas):
        assert schema.problems({"n": number}) == []
        assert schema.problems({"n": number + 1}) != []


def test_schemas_that_say_the_same_do_not_get_mixed_up_with_those_that_went() -> None:
    """Objects come to lie where others were."""
    for number in range(500):
        assert taking(number).problems({"n": number}) == []


def test_schemas_can_be_asked_by_several_threads() -> None:
    schemas = [taking(number) for number in range(200)]

    def problems(number: int) -> list[str]:
        return schemas[number % 200].problems({"n": number % 200})

    with ThreadPoolExecutor(4) as threads:
        assert not any(threads.map(problems, range(2000)))


@pytest.mark.parametrize(
    "document",
    [{"type": "nothing"}, {"properties": {"a": {"pattern": "("}}}, {"$schema": "https://elsewhere.example"}],
    ids=["type", "pattern", "dialect"],
)
def test_what_is_no_schema_is_refused_when_it_is_made(document: dict[str, Any]) -> None:
    with pytest.raises(SchemaInvalid):
        Schema(document)
