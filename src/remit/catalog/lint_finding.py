"""What a look at tool files can find (noun): the rules by code, and a finding with its place."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final, Literal, NamedTuple

from remit.catalog.problem import Path

#: An error must be mended, a warning should be, a note is advice.
Severity = Literal["error", "warning", "note"]


class Rule(NamedTuple):
    """What a code stands for: how bad it is, a name for programs, what is asked of a tool file, and how to mend it.

    The texts stand in docs/tools.md as they stand here: Markdown.
    """

    severity: Severity
    name: str
    text: str
    mend: str


RULES: Final[Mapping[str, Rule]] = {
    "T100": Rule(
        "error", "file-unusable", "A tool file can be used", "Mend what the message says; `remit check` tells it, too"
    ),
    "T101": Rule(
        "warning",
        "description-short",
        "A description has at least 40 characters",
        "Say what the tool does and when to use it",
    ),
    "T102": Rule(
        "warning",
        "description-no-when",
        "A description says when to use the tool",
        "Add a sentence such as: Use it when …",
    ),
    "T103": Rule(
        "warning",
        "description-same",
        "A description says more than the name does",
        "Say what comes back, and when to use it",
    ),
    "T104": Rule(
        "warning",
        "description-long",
        "A description has at most 512 characters, which each conversation pays for",
        "Move what an argument is to the argument",
    ),
    "T105": Rule("warning", "title-missing", "A tool has a title for people", "Add `title`, a few words"),
    "T106": Rule(
        "warning",
        "description-unfinished",
        "A description is not the one that was there to be replaced",
        "Replace the text that begins with TODO",
    ),
    "T111": Rule(
        "warning", "argument-undescribed", "Every argument has a description", "Say what it is and how it looks"
    ),
    "T112": Rule("warning", "argument-untyped", "Every argument has a type", "Add `type`, or `enum` for a few values"),
    "T114": Rule(
        "warning",
        "property-key",
        "Names of properties are what models take: up to 64 letters, digits, `_`, `.` and `-`",
        "Give the property another name and map it in `request`",
    ),
    "T115": Rule("error", "root-union", "No union stands at the root of an input schema", "Write the properties out"),
    "T116": Rule(
        "warning",
        "nesting",
        "Arguments are nested at most five levels deep",
        "Flatten it, or make arguments of its parts",
    ),
    "T117": Rule(
        "warning",
        "object-open",
        "Of an object it is said what is in it",
        "Name its properties, or give `additionalProperties` a schema",
    ),
    "T118": Rule(
        "note",
        "argument-union",
        "Arguments do without unions, which models read badly",
        "Take the one form that the tool needs",
    ),
    "T119": Rule(
        "note",
        "references",
        "Input schemas do without `$ref`; some clients drop the `$defs` that it leads to",
        "Write the part out where it is used",
    ),
    "T201": Rule(
        "error",
        "secret",
        "No secret stands in a tool file",
        "Take it out and replace it where it is valid. Calls carry an exchanged token",
    ),
    "T202": Rule(
        "warning",
        "http-upstream",
        "An API is called by https",
        "Write https, or `${NAME:-http://…}` with another address where it is served",
    ),
    "T203": Rule(
        "error",
        "invisible-text",
        "Everything that a model reads can be seen",
        "Take the characters out. They can carry instructions that no reviewer sees",
    ),
    "T204": Rule(
        "warning",
        "scope-unobtainable",
        "A client of the token service may have the tool's scopes",
        "Add them to a target of `sts.clients`, or take them out of the tool",
    ),
    "T205": Rule(
        "warning",
        "scope-unheld",
        "A user has the tool's scopes",
        "Give them to a user of `sts.users`, or take them out of the tool",
    ),
    "T206": Rule("warning", "hidden", "Policy shows the tool to somebody", "Permit it in policy, or take the tool out"),
    "T207": Rule(
        "warning",
        "instruction-text",
        "A description says what a tool does, and gives the model no orders beyond that",
        "Take the sentence out; ask whoever wrote it what it is for",
    ),
    "T301": Rule("warning", "no-examples", "A tool has an example", "Add one under `examples`; `remit test` tries it"),
    "T302": Rule(
        "warning",
        "destructive-unmarked",
        "A tool whose name says that it destroys is marked destructive",
        "Add `annotations: {destructive: true}`, or `false` where it can be undone",
    ),
    "T303": Rule(
        "note",
        "destructive-unasked",
        "A destructive tool tells the model to ask the user before",
        "Say so in the description, and let policy demand an approval",
    ),
    "T304": Rule(
        "warning",
        "repeat-unsafe",
        "What acts again when it is sent again is not called idempotent",
        "Add `request.idempotencyKey: auto`, where the API takes such a key",
    ),
    "T305": Rule(
        "warning",
        "list-unbounded",
        "A tool that lists says how long its result may be",
        "Set `response.maxBytes`, 32KiB or less",
    ),
    "T306": Rule(
        "note",
        "retry-without-key",
        "A POST or PATCH that is retried has an idempotency key",
        "Add `request.idempotencyKey: auto`, where the API takes such a key",
    ),
    "T307": Rule(
        "warning", "output-large", "An output schema has at most 4 KiB", "Keep what callers rely on, or leave it out"
    ),
    "T308": Rule(
        "error",
        "fact-argument",
        "A fact that names an argument names one that the tool has",
        "Mend the name: policy finds no amount otherwise",
    ),
    "T309": Rule(
        "note",
        "destructive-without-key",
        "What destroys or moves money has an idempotency key, so that it happens once",
        "Add `request.idempotencyKey: auto`, where the API takes such a key",
    ),
    "T310": Rule(
        "warning",
        "amount-unknown",
        "A tool that writes says which of its arguments is an amount of money",
        "Add `policy: {moneyField: amount}`: rules about amounts do not see it otherwise",
    ),
    "T401": Rule(
        "warning",
        "list-bytes",
        "The list of tools has at most 60 KB",
        "Shorten descriptions and schemas, or serve fewer tools",
    ),
    "T402": Rule(
        "warning",
        "list-length",
        "The list has at most 40 tools",
        "Serve fewer, or let policy show each user those they need",
    ),
    "T403": Rule(
        "warning",
        "tool-large",
        "One tool takes at most 16 KiB of the list",
        "Make more tools of it, or take arguments out",
    ),
    "T404": Rule(
        "error",
        "name-clash",
        "Names stay apart when clients put a prefix before them and cut them off",
        "Let them differ in the first 48 characters",
    ),
    "T405": Rule(
        "warning",
        "name-long",
        "A name has at most 48 characters, so that a client's prefix fits before it",
        "Shorten it",
    ),
    "T406": Rule(
        "warning",
        "unlocked",
        "A tool is what `tools.lock` approved, where there is one",
        "Review the change, then `remit tools lock`",
    ),
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
