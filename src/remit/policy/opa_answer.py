"""Rule: what an OPA server answered → what it said, in words of our own: OPA's errors may quote the input."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Final

from remit.tokens import strict_json
from remit.web import Answer

#: The revision of a decision where the server names none: its policy is no bundle, or a bundle without one.
UNNAMED: Final = "opa"

_MAX_REVISION: Final = 200
_DECISION_ID: Final = re.compile(r"[A-Za-z0-9-]{1,64}")
_VERSION: Final = re.compile(r"[A-Za-z0-9.+-]{1,64}")
_ERROR_CODE: Final = re.compile(r"[a-z_]{1,40}")
_ERROR_FILE: Final = re.compile(r"[A-Za-z0-9_./-]{1,200}\.rego")


class Undecided(Exception):
    """There is no answer to use; says why, without any value of the input and without words of the server's."""


@dataclass(frozen=True, slots=True)
class Said:
    """What the server said, and of itself. Texts are empty where it did not say.

    ``result`` is the value of the entrypoint as it came. ``decision_id`` is the one in the server's own decision log.
    """

    result: Any = None
    revision: str = ""
    version: str = ""
    decision_id: str = ""


def read_answer(answer: Answer, entrypoint: str) -> Said:
    """Raises ``Undecided`` for everything but a status of 200 and a JSON object with a ``result``."""
    if answer.status != 200:
        raise Undecided(f"the OPA server answered with status {answer.status}{_fault(answer.body)}")
    try:
        said = strict_json.loads(answer.body)
    except strict_json.NotStrict as error:
        raise Undecided(f"the OPA server's answer is malformed: {error}") from error
    if not isinstance(said, dict):
        raise Undecided("the OPA server's answer is malformed: not a JSON object")
    if "result" not in said:
        raise Undecided(f"{entrypoint} is undefined")
    provenance = said.get("provenance")
    return Said(
        said["result"],
        _revision(provenance),
        _formed(_member(provenance, "version"), _VERSION),
        _formed(said.get("decision_id"), _DECISION_ID),
    )


def _revision(provenance: object) -> str:
    """The revisions of all bundles, in the order of the bundles' names."""
    bundles = _member(provenance, "bundles")
    named = sorted(bundles.items()) if isinstance(bundles, dict) else []
    revisions = [revision for _, bundle in named if isinstance(revision := _member(bundle, "revision"), str)]
    return ",".join(filter(None, revisions))[:_MAX_REVISION] or UNNAMED


def _fault(body: bytes) -> str:
    """Where in the policy an evaluation failed, and how. What OPA says of it besides may quote the input."""
    try:
        said = strict_json.loads(body)
    except strict_json.NotStrict:
        return ""
    match said:
        case {"errors": [{"code": code, "location": {"file": file, "row": int(row), "col": int(column)}}, *_]}:
            code, file = _formed(code, _ERROR_CODE), _formed(file, _ERROR_FILE)
            return f": {code} at {file}:{row}:{column}" if code and file else ""
        case _:
            return ""


def _member(value: object, name: str) -> Any:
    return value.get(name) if isinstance(value, dict) else None


def _formed(value: object, form: re.Pattern[str]) -> str:
    return value if isinstance(value, str) and form.fullmatch(value) else ""
