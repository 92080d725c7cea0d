"""What a look at tool files can find (noun): the rules by code, and a finding with its place."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final, Literal, NamedTuple

from remit.catalog.problem import Path

#: An error must be mended, a warning should be, a note is advice.
Severity = Literal["error", "warning", "note"]


class Rule(NamedTuple):
    """What a code stands for: how bad it is, a name for programs, and what is asked of a tool file."""

    severity: Severity
    name: str
    text: str


RULES: Final[Mapping[str, Rule]] = {
    "T100": Rule("error", "file-unusable", "A tool file can be used."),
    "T101": Rule("warning", "description-short", "A description is long enough to say what the tool does and when."),
    "T102": Rule("warning", "description-no-when", "A description says when to use the tool."),
    "T103": Rule("warning", "description-same", "A description says more than the name does."),
    "T104": Rule("warning", "description-long", "A description has at most 512 characters: each call pays for it."),
    "T105": Rule("warning", "title-missing", "A tool has a title for people."),
    "T106": Rule("warning", "description-unfinished", "A description is not the one that was there to be replaced."),
    "T111": Rule("warning", "argument-undescribed", "Every argument has a description."),
    "T112": Rule("warning", "argument-untyped", "Every argument has a type."),
    "T114": Rule("warning", "property-key", "Property keys are what model APIs take: [a-zA-Z0-9_.-]{1,64}."),
    "T115": Rule("error", "root-union", "No union stands at the root of an input schema."),
    "T116": Rule("warning", "nesting", "Arguments are nested at most five levels deep."),
    "T117": Rule("warning", "object-open", "Of an object it is said what is in it."),
    "T118": Rule("note", "argument-union", "Arguments do without unions, which models read badly."),
    "T119": Rule("note", "references", "Input schemas do without $ref: some clients drop the $defs that it leads to."),
    "T201": Rule("error", "secret", "No secret stands in a tool file."),
    "T202": Rule("warning", "http-upstream", "An API is called by https."),
    "T204": Rule("warning", "scope-unobtainable", "A client of the token service may have the tool's scopes."),
    "T205": Rule("warning", "scope-unheld", "A user has the tool's scopes."),
    "T206": Rule("warning", "hidden", "Policy shows the tool to somebody."),
    "T301": Rule("warning", "no-examples", "A tool has an example, which `remit test` tries."),
    "T302": Rule("warning", "destructive-unmarked", "A tool that says it destroys is marked destructive."),
    "T303": Rule("note", "destructive-unasked", "A destructive tool tells the model to ask the user before."),
    "T304": Rule("warning", "repeat-unsafe", "What acts again when it is sent again is not called idempotent."),
    "T305": Rule("warning", "list-unbounded", "A tool that lists says how long its result may be."),
    "T306": Rule("note", "retry-without-key", "Retry of a POST or PATCH is of use with an idempotency key."),
    "T307": Rule("warning", "output-large", "An output schema has at most 4 KiB."),
    "T308": Rule("error", "fact-argument", "A fact that names an argument names one that the tool has."),
    "T401": Rule("warning", "list-bytes", "The list of tools has at most 60 KB."),
    "T402": Rule("warning", "list-length", "The list has at most 40 tools."),
    "T403": Rule("warning", "tool-large", "One tool takes at most 16 KiB of the list."),
    "T404": Rule("error", "name-clash", "Names stay apart when clients put a prefix before them and cut them off."),
    "T405": Rule("warning", "name-long", "A name has at most 48 characters, so that a client's prefix fits before it."),
}


class Note(NamedTuple):
    """What a rule says about the value at ``path`` of one file."""

    code: str
    path: Path
    message: str
    fix: str = ""


@dataclass(frozen=True, slots=True, order=True)
class Finding:
    """One thing found: ``line`` and ``column`` count from 1 (0: the file as a whole), ``fix`` says how to mend it."""

    file: str
    line: int
    column: int
    code: str
    message: str
    fix: str = ""
    tool: str = ""

    @property
    def severity(self) -> Severity:
        """How bad it is."""
        return RULES[self.code].severity

    @property
    def where(self) -> str:
        """``file:line:column``, or the file alone."""
        return f"{self.file}:{self.line}:{self.column}" if self.line else self.file

    def document(self) -> dict[str, Any]:
        """As JSON."""
        return {"severity": self.severity, "name": RULES[self.code].name, **asdict(self)}
