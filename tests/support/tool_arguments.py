"""Arguments for a tool, made by schemathesis from its input schema as if that were the body of a described request."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode

Arguments = dict[str, Any]


def some_arguments(
    schema: dict[str, Any], count: int, known: Mapping[str, Sequence[Any]], *, valid: bool = True
) -> list[Arguments]:
    """So many, the same each time, that the schema allows, or does not.

    Half of the valid ones have ``known`` values (by argument) in place of what was made.
    """
    made: list[Arguments] = []
    strategy = _arguments(schema, valid=valid)
    strategy = strategy.flatmap(lambda each: _with_known(each, known)) if valid else strategy

    @settings(
        max_examples=count,
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(strategy)
    def keep(arguments: Arguments) -> None:
        made.append(arguments)

    keep()
    return made


def _arguments(schema: dict[str, Any], *, valid: bool) -> st.SearchStrategy[Arguments]:
    content = {"application/json": {"schema": schema}}
    post = {"requestBody": {"required": True, "content": content}, "responses": {"200": {"description": "Done"}}}
    described = {"openapi": "3.1.0", "info": {"title": "Tool", "version": "1"}, "paths": {"/tool": {"post": post}}}
    operation = schemathesis.openapi.from_dict(described)["/tool"]["POST"]
    mode = GenerationMode.POSITIVE if valid else GenerationMode.NEGATIVE
    made: st.SearchStrategy[Any] = operation.as_strategy(generation_mode=mode).map(lambda case: case.body)
    return made.filter(lambda body: isinstance(body, dict))


def _with_known(made: Arguments, known: Mapping[str, Sequence[Any]]) -> st.SearchStrategy[Arguments]:
    alike = {name: [each for each in known.get(name, ()) if type(each) is type(value)] for name, value in made.items()}
    there = {name: st.sampled_from(values) for name, values in alike.items() if values}
    return st.one_of(st.just(made), st.fixed_dictionaries(there).map(lambda chosen: {**made, **chosen}))
