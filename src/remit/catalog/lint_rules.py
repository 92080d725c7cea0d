"""What can be said about one tool (rule): its description, its effects, its answer, its facts."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from remit.catalog.definition import ToolBlock
from remit.catalog.grammar import did_you_mean
from remit.catalog.lint_finding import Note
from remit.catalog.lint_schema import schema_notes
from remit.catalog.lint_text import text_notes
from remit.catalog.problem import Path
from remit.catalog.shown import estimated_tokens, shown_bytes
from remit.catalog.tool import Tool

#: What a description begins with that is still to be written.
UNFINISHED: Final = "TODO"

MIN_DESCRIPTION: Final = 40
MAX_DESCRIPTION: Final = 512
MAX_OUTPUT_BYTES: Final = 4 * 1024
MAX_TOOL_BYTES: Final = 16 * 1024
MAX_NAME: Final = 48

_WHEN: Final = re.compile(
    r"\b(when|whenever|use|used|if|before|after|instead|unless|while|once|first|only|to (find|see|check|learn|know))\b",
    re.IGNORECASE,
)
_WORD: Final = re.compile(r"[a-z0-9]+")
_EMPTY_WORDS: Final = frozenset({"a", "an", "the", "of", "for", "to", "by", "with", "this", "tool", "api", "it", "and"})
#: What names and titles of tools that destroy say, and names of those that list.
DESTROYS: Final = re.compile(
    r"\b(delete|remove|cancel|refund|destroy|drop|erase|purge|wipe|revoke|terminate|deactivate|reset|overwrite)s?\b",
    re.IGNORECASE,
)
LISTS: Final = re.compile(r"(^|[_-])(list|find|search|query|browse)([_-]|$)")
_ASKS: Final = re.compile(r"\b(ask|asks|confirm|confirms|confirmation|approv\w*|consent)\b", re.IGNORECASE)
#: Arguments that are money, most likely.
AMOUNT: Final = re.compile(r"(^|[a-z0-9]_|-)(amount|price|sum|total)s?([_-]|$)", re.IGNORECASE)
#: Facts that name an argument.
_NAMING_FACTS: Final = ("moneyField",)


@dataclass(frozen=True, slots=True)
class Seen:
    """One tool as it is written and as it takes effect; ``path`` leads to it in its file."""

    block: ToolBlock
    tool: Tool
    path: Path


def tool_notes(seen: Seen) -> Iterator[Note]:
    """Everything that can be said about a tool without knowing any other."""
    yield from _description_notes(seen)
    if seen.block.operation is None:  # what an API's description says is not the tool file's to mend
        yield from schema_notes(seen.tool.input_schema, (*seen.path, "input"))
    yield from _read_notes(seen)
    yield from _effect_notes(seen)
    yield from _answer_notes(seen)
    yield from _fact_notes(seen)
    yield from _size_notes(seen)
    if not seen.tool.examples:
        fix = "add one under examples: arguments, the API's answer, and what to expect"
        yield Note("T301", seen.path, f"{seen.tool.name} has no example", fix)


def _description_notes(seen: Seen) -> Iterator[Note]:
    tool, path = seen.tool, (*seen.path, "description")
    text = " ".join(tool.description.split())
    if not tool.title:
        yield Note("T105", seen.path, f"{tool.name} has no title", "add title: a few words for people")
    if text.startswith(UNFINISHED):
        yield Note("T106", path, "the description is still to be written", "say what it does and when to use it")
        return
    if len(text) < MIN_DESCRIPTION:
        message = f"a description of {len(text)} characters tells a model little"
        yield Note("T101", path, message, "say what it does and when to use it")
    if len(text) > MAX_DESCRIPTION:
        message = f"the description has {len(text)} characters"
        yield Note("T104", path, message, f"keep to {MAX_DESCRIPTION}; what an argument is belongs to the argument")
    words = set(_WORD.findall(text.lower())) - _EMPTY_WORDS
    known = set(_WORD.findall(f"{tool.name} {tool.title}".lower()))
    if words <= known:
        yield Note("T103", path, "the description says what the name says", "say what comes back, and when to use it")
    elif not _WHEN.search(text):
        yield Note("T102", path, "the description does not say when to use the tool", "add a sentence: Use it when …")


def _read_notes(seen: Seen) -> Iterator[Note]:
    """Of all that a model reads. The examples in its schema are arguments of the examples of the file."""
    tool, path = seen.tool, seen.path
    schema = {key: value for key, value in tool.input_schema.items() if key != "examples"}
    yield from text_notes(tool.title, (*path, "title"))
    yield from text_notes(tool.description, (*path, "description"))
    yield from text_notes(schema, (*path, "input"))
    yield from text_notes(tool.output_schema, (*path, "response", "schema"))
    for index, example in enumerate(tool.examples):
        yield from text_notes(example.arguments, (*path, "examples", index, "args"))


def _effect_notes(seen: Seen) -> Iterator[Note]:
    tool, annotations = seen.tool, seen.tool.annotations
    said = DESTROYS.search(f"{tool.name.replace('_', ' ').replace('-', ' ')} {tool.title}")
    if said and not annotations.read_only and seen.block.annotations.destructive is None and tool.method != "DELETE":
        message = f"{tool.name} says {said[0].lower()}, and is not marked destructive"
        yield Note("T302", seen.path, message, "add annotations: {destructive: true}, or false where it can be undone")
    if annotations.destructive and tool.approval is None and not _ASKS.search(tool.description):
        message = f"{tool.name} is destructive, and its description does not say to ask the user"
        yield Note("T303", (*seen.path, "description"), message, "add: ask the user before; let policy demand approval")
    if tool.method in {"POST", "PATCH"} and not tool.plan.repeatable:
        yield from _repeat_notes(seen)


def _repeat_notes(seen: Seen) -> Iterator[Note]:
    key = "idempotencyKey" if seen.block.operation else "request.idempotencyKey"
    tool, fix = seen.tool, f"add {key}: auto, where the API takes such a key"
    if seen.block.annotations.idempotent:
        message = f"{tool.name} is called idempotent, and a {tool.method} without a key acts each time it is sent"
        yield Note("T304", (*seen.path, "annotations", "idempotent"), message, fix)
    elif tool.plan.retry.attempts > 1:
        message = f"{tool.method} without a key is only sent again when no connection came about"
        yield Note("T306", seen.path, message, fix)
    elif tool.annotations.destructive:
        message = f"{tool.name} acts again each time it is sent, and nothing tells the API that it was sent before"
        yield Note("T309", seen.path, message, fix)


def _answer_notes(seen: Seen) -> Iterator[Note]:
    tool, block = seen.tool, seen.block.response
    if tool.annotations.read_only and LISTS.search(tool.name) and "max_bytes" not in block.model_fields_set:
        message = f"{tool.name} lists, and its result may have {tool.response.max_bytes // 1024} KiB"
        yield Note("T305", (*seen.path, "response"), message, "set response.maxBytes: 32KiB or less")
    if tool.output_schema is not None:
        size = len(json.dumps(tool.output_schema, ensure_ascii=False, separators=(",", ":")).encode())
        if size > MAX_OUTPUT_BYTES:
            message = f"the output schema has {size} bytes, about {estimated_tokens(size)} tokens in each list"
            yield Note(
                "T307", (*seen.path, "response", "schema"), message, "keep what callers rely on, or leave it out"
            )


def _fact_notes(seen: Seen) -> Iterator[Note]:
    properties = seen.tool.input_schema.get("properties", {})
    for fact in _NAMING_FACTS:
        named = seen.tool.facts.get(fact)
        if named is not None and named not in properties:
            message = f'{fact} names "{str(named)[:60]}", which is no argument: policy finds no amount'
            yield Note("T308", (*seen.path, "policy", fact), message, did_you_mean(str(named), properties))
    if not seen.tool.annotations.read_only and "moneyField" not in seen.tool.facts:
        for name in (name for name, schema in properties.items() if AMOUNT.search(name) and _is_number(schema)):
            message = f"{seen.tool.name} takes {name}, of which policy's rules about amounts know nothing"
            yield Note("T310", seen.path, message, f"add policy: {{moneyField: {name}}}, if that is money")
            return


def _is_number(schema: object) -> bool:
    kinds = schema.get("type", "") if isinstance(schema, dict) else ""
    return bool({"integer", "number"}.intersection([kinds] if isinstance(kinds, str) else kinds))


def _size_notes(seen: Seen) -> Iterator[Note]:
    size = shown_bytes(seen.tool)
    if size > MAX_TOOL_BYTES:
        message = f"{seen.tool.name} takes {size} bytes of the list, about {estimated_tokens(size)} tokens"
        yield Note("T403", seen.path, message, "make more tools of it, or take arguments out")
    if len(seen.tool.name) > MAX_NAME:
        message = f"the name has {len(seen.tool.name)} characters, and clients put theirs before it"
        yield Note("T405", (*seen.path, "name"), message, f"keep to {MAX_NAME}")
