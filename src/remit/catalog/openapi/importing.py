"""A description and what was selected of it → a tool file (rule).

The description is somebody else's text. It says where the API is and which scopes an operation needs; whom a token is for is
the operator's to say, and the origin of the API's address if they do not. Text of it is written as data, by a YAML library.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

import orjson
import yaml

from remit.catalog.definition import UpstreamBlock
from remit.catalog.document import scalar
from remit.catalog.openapi.description import Description, JsonSchema, Note, Operation
from remit.catalog.openapi.mapping import Mapped, Mapper, Unmappable
from remit.catalog.openapi.report import Taken
from remit.catalog.openapi.selection import READING, Candidate, LeftOut, Selected
from remit.catalog.plan import Argument
from remit.catalog.problem import Flaws
from remit.catalog.upstream import compile_upstream
from remit.oauth import parse_scope

MAX_SCOPES: Final = 50
_USUAL_HEADER: Final = "Idempotency-Key"
_IDEMPOTENCY_HEADER: Final = re.compile(r"(?:x-)?idempotency-key", re.IGNORECASE)
_MAX_NAME: Final = 31
_NOT_IN_NAME: Final = re.compile(r"[^a-z0-9]+")
_HEAD: Final = """\
# yaml-language-server: $schema={schema}
# Made by `remit import openapi`. What you write here is kept when the description is imported again.
"""


# ── where the API is, and whom tokens are for ────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Base:
    """Where the API is. ``url`` is empty where the description does not say it usably, and ``fault`` says why."""

    url: str
    fault: str = ""
    #: All that the description calls the API's own address.
    servers: frozenset[str] = frozenset()


def base_of(description: Description) -> Base:
    """The first server that a token may be sent to; where the description has none, that of most operations."""
    common = Counter(each.servers[0] for each in description.operations if each.servers).most_common(1)
    servers = description.servers or tuple(url for url, _ in common)
    if not servers:
        return Base("", "the description names no server")
    faults = {url: fault_of(url) for url in servers}
    usable = [url for url, fault in faults.items() if not fault]
    known = frozenset(map(_bare, servers))
    return (
        Base(_bare(usable[0]), servers=known)
        if usable
        else Base("", f"{servers[0][:200]}: {faults[servers[0]]}", known)
    )


def fault_of(url: str) -> str:
    """What is wrong with it as ``baseUrl`` of a tool file; empty for nothing."""
    flaws = Flaws()
    if not url.startswith(("https://", "http://")):
        return "it is no absolute address"
    if len(url) > 2048:
        return "it is too long"
    compile_upstream(UpstreamBlock.model_validate({"baseUrl": url, "auth": {}}), flaws)
    return flaws[0].message if flaws else ""


def _bare(url: str) -> str:
    return url.rstrip("/")


def origin(url: str) -> str:
    """``https://host`` of an address, with a port where it names one; empty where there is none."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}".lower() if parts.netloc else ""


def elsewhere(operation: Operation, base: Base) -> str:
    """The server of its own that the operation has, which no tool of this file can call; empty where it has none."""
    own = [url for url in operation.servers if _bare(url) not in base.servers]
    return own[0] if own and len(own) == len(operation.servers) else ""


# ── tools ────────────────────────────────────────────────────────────────────────────────


def taken_of(
    chosen: Iterable[Candidate], mapper: Mapper, base: Base, *, described: Mapping[str, str]
) -> tuple[tuple[Taken, ...], tuple[LeftOut, ...]]:
    """The candidates as tools, and those that cannot be one. ``described``: what a file says in place of a description."""
    taken: list[Taken] = []
    left_out: list[LeftOut] = []
    for candidate in chosen:
        operation = candidate.operation
        other = elsewhere(operation, base)
        if other:
            reason = f"it is at another server: {other[:200]}"
            left_out.append(LeftOut.of(operation, reason, is_fault=True))
            continue
        try:
            mapped = mapper.map(operation)
        except Unmappable as error:
            left_out.append(LeftOut.of(operation, str(error), is_fault=True))
        else:
            text = described.get(candidate.reference, mapped.description)
            taken.append(Taken(candidate, mapped, _shown_bytes(candidate, mapped, text)))
    return tuple(taken), tuple(left_out)


def _shown_bytes(candidate: Candidate, mapped: Mapped, description: str) -> int:
    """The bytes of the tool in the list that models see."""
    reads = candidate.operation.method in READING
    hints = {
        "readOnlyHint": reads,
        "destructiveHint": candidate.operation.method == "DELETE",
        "idempotentHint": reads or candidate.operation.method in {"PUT", "DELETE"},
        "openWorldHint": False,
    }
    schema = _without_key(candidate.operation, mapped)
    hints["idempotentHint"] = hints["idempotentHint"] or schema is not mapped.input
    shown = {"name": candidate.name, "description": description, "inputSchema": schema, "annotations": hints}
    return len(orjson.dumps(shown | ({"title": mapped.title} if mapped.title else {})))


def _without_key(operation: Operation, mapped: Mapped) -> JsonSchema:
    """The input schema as it is once the file says where the idempotency key comes from."""
    binding = mapped.bindings.parameters.get(("header", _idempotency_header(operation)))
    if not isinstance(binding, Argument):
        return mapped.input
    properties = {name: schema for name, schema in mapped.input["properties"].items() if name != binding.name}
    required = [name for name in mapped.input.get("required", ()) if name != binding.name]
    rest = {key: value for key, value in mapped.input.items() if key != "required"}
    return {**rest, "properties": properties, **({"required": required} if required else {})}


def entry(taken: Taken) -> dict[str, Any]:
    """The tool as it stands in a tool file."""
    scopes = scopes_of(taken.candidate.operation)
    return {
        "name": taken.candidate.name,
        "operation": taken.candidate.reference,
        "description": taken.mapped.description,
        **({"auth": InLine(scopes=list(scopes))} if scopes else {}),
        **idempotency_of(taken.candidate.operation),
    }


def idempotency_of(operation: Operation) -> dict[str, str]:
    """What a tool file says of an operation that takes a key: it is the call's, and not a model's to make up."""
    header = _idempotency_header(operation)
    if not header:
        return {}
    return {"idempotencyKey": "auto", **({} if header == _USUAL_HEADER else {"idempotencyHeader": header})}


def _idempotency_header(operation: Operation) -> str:
    names = (each.name for each in operation.parameters if each.location == "header")
    return next((name for name in names if _IDEMPOTENCY_HEADER.fullmatch(name)), "")


def scopes_of(operation: Operation) -> tuple[str, ...]:
    """The scopes that the description names and a token can have, each once."""
    return tuple(scope for scope in dict.fromkeys(operation.scopes) if is_scope(scope))[:MAX_SCOPES]


def is_scope(text: str) -> bool:
    """Whether that is one scope (RFC 6749 §3.3), and nothing that is filled in from the environment."""
    try:
        return parse_scope(text) == (text,) and "${" not in text
    except ValueError:
        return False


def idle(chosen: Selected) -> tuple[Note, ...]:
    """The patterns that match nothing."""
    return tuple(Note("", f"the pattern {text[:200]} matches nothing") for text in chosen.idle)


def notes_of(description: Description, base: Base, *, audience: str, base_url: str) -> tuple[Note, ...]:
    """What the operator should know of how the file came to say what it says."""
    notes: list[Note] = []
    if not base_url:
        notes.append(Note("", f"no address for the API ({base.fault}): give --base-url"))
    elif len(base.servers) > 1:
        notes.append(Note("", f"the description names {len(base.servers)} servers: tools call {base_url}"))
    named = sorted({each for operation in description.operations for each in operation.audiences} - {audience})
    if named:
        shown = ", ".join(text[:100] for text in named[:3])
        notes.append(Note("", f"the description asks for tokens for {shown}: give --audience if that is right"))
    if any(len(scopes_of(each)) < len(set(each.scopes)) for each in description.operations):
        notes.append(Note("", "some scopes of the description are no scopes of OAuth, or too many: they are left out"))
    return tuple(notes)


# ── the file ─────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Target:
    """What the tool file says of the API as a whole. Paths are relative to the file's folder."""

    name: str
    base_url: str
    audience: str
    scopes: tuple[str, ...]
    openapi: str
    overlays: tuple[str, ...] = ()
    profile: str = "portable"


def name_of(*texts: str) -> str:
    """A name for the API from the first text that gives one; empty where none does."""
    for text in texts:
        name = _NOT_IN_NAME.sub("-", text.casefold()).strip("-").lstrip("0123456789-")
        if len(name) > _MAX_NAME:
            name = name[: _MAX_NAME + 1].rpartition("-")[0] or name[:_MAX_NAME]
        if name:
            return name
    return ""


def tool_file(target: Target, taken: Sequence[Taken], schema: str) -> str:
    """The text of a new tool file. ``schema``: where editors find the grammar, from the file."""
    entries = [entry(each) for each in taken]
    head = _HEAD.format(schema=schema) + yaml_text(_file_head(target))
    return head + "tools:\n" + "\n".join(indented(yaml_text([each]), 2) for each in entries)


def discovery_file(target: Target, discover: Mapping[str, Any], schema: str) -> str:
    """The text of a tool file whose operations are found when they are needed: those that need no other scopes."""
    return _HEAD.format(schema=schema) + yaml_text({**_file_head(target), "discover": dict(discover)})


def _file_head(target: Target) -> dict[str, Any]:
    upstream = {
        "baseUrl": target.base_url,
        "openapi": target.openapi,
        **({"overlays": list(target.overlays)} if target.overlays else {}),
        **({"profile": target.profile} if target.profile != "portable" else {}),
        "auth": InLine(audience=target.audience, **({"scopes": list(target.scopes)} if target.scopes else {})),
    }
    return {"version": 1, "name": target.name, "upstream": upstream}


class InLine(dict[str, Any]):
    """A mapping that is written on one line."""


class _Dumper(yaml.SafeDumper):
    """Writes texts so that the tool file's own reader reads the same."""

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002  nothing of ours is a reference
        """Everything is written out."""
        return True


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    is_plain = scalar(text) is text
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=None if is_plain else '"')


def _in_line(dumper: yaml.SafeDumper, mapping: InLine) -> yaml.MappingNode:
    return dumper.represent_mapping("tag:yaml.org,2002:map", mapping, flow_style=True)


_Dumper.add_representer(str, _text)
_Dumper.add_representer(InLine, _in_line)


def yaml_text(data: Any, *, in_line: bool = False) -> str:
    """Plain data as YAML; ``in_line``: on one line, as it can stand anywhere."""
    width = 1_000_000 if in_line else 118
    return yaml.dump(
        data,
        Dumper=_Dumper,
        sort_keys=False,
        allow_unicode=True,
        width=width,
        default_flow_style=in_line,
    )


def indented(text: str, columns: int) -> str:
    """Every line that has something on it, moved to the right."""
    return "".join(" " * columns + line if line.strip() else line for line in text.splitlines(keepends=True))
