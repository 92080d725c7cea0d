"""Plain data → the models of the tool file, or flaws in words a developer can act on (rule)."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from remit.catalog.definition import ToolFile
from remit.catalog.problem import Flaws, Path

_KINDS = {
    "string_type": "a text",
    "int_type": "a whole number",
    "bool_type": "true or false",
    "list_type": "a list",
    "dict_type": "a mapping",
    "model_type": "a mapping",
}
_HINTS = {
    "string_type": "put the value in quotes",
    "bool_type": "write true or false, without quotes",
}


def read_tool_file(data: Any, flaws: Flaws) -> ToolFile | None:
    """The file's model, or ``None`` after every flaw of its shape was added."""
    if not isinstance(data, dict):
        flaws.add((), "a tool file is a mapping", "begin with version, name, upstream and tools")
        return None
    if {"openapi", "swagger"} & data.keys() and not {"upstream", "tools"} & data.keys():
        flaws.add((), "this is an API description, no tool file", "make one of it with `remit import openapi FILE`")
        return None
    try:
        return ToolFile.model_validate(data)
    except ValidationError as error:
        for details in error.errors(include_url=False, include_input=False):
            _add(details, flaws)
        return None


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """A hint towards the nearest known word, or towards all of them."""
    words = list(known)
    close = difflib.get_close_matches(word, words, n=1, cutoff=0.6) or [
        name for name in words if name.casefold() == word.replace("_", "").casefold()
    ]
    if close:
        return f"did you mean {close[0]}?"
    return f"known here: {', '.join(words)}" if words else ""


def _add(details: ErrorDetails, flaws: Flaws) -> None:
    path, kind, context = details["loc"], details["type"], details.get("ctx", {})
    name = str(path[-1])[:60] if path else ""
    if kind == "extra_forbidden":
        flaws.add(path, f'unknown key "{name}"', did_you_mean(name, _keys_at(path[:-1])), at_key=True)
    elif kind == "missing":
        flaws.add(path, f"{name} is missing", f"add {name}")
    elif kind in _KINDS:
        flaws.add(path, f"{_label(path)} must be {_KINDS[kind]}", _HINTS.get(kind, ""))
    else:
        flaws.add(path, f"{_label(path)} {_wanted(kind, context, details['msg'])}")


def _label(path: Path) -> str:
    names = [str(step) for step in path if not isinstance(step, int)]
    return names[-1][:60] if names else "the file"


def _wanted(kind: str, context: Mapping[str, Any], message: str) -> str:
    match kind:
        case "literal_error":
            return f"must be {context['expected']}".replace("'", "")
        case "string_pattern_mismatch":
            return f"does not match {context['pattern']}"
        case "string_too_short" | "too_short":
            return f"is too short, at least {context['min_length']}"
        case "string_too_long" | "too_long":
            return f"is too long, at most {context['max_length']}"
    return re.sub(r"^(Input|Value) should", "must", message).replace("'", "")


def _keys_at(path: Path) -> list[str]:
    """The keys a model knows at ``path``."""
    models: list[type[BaseModel]] = [ToolFile]
    for step in path:
        fields = {field.alias: field.annotation for model in models for field in model.model_fields.values()}
        if step in fields:
            models = list(_models_in(fields[str(step)]))
    return [field.alias or "" for model in models for field in model.model_fields.values()]


def _models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for part in get_args(annotation):
        yield from _models_in(part)
