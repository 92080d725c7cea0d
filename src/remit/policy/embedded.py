"""Rule: what surrounds an evaluation by the embedded engine, wherever that runs: documents in, decisions out."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import orjson

from remit.errors import PolicyInvalid
from remit.policy.decision import Basis, Decision, Deny, Places, failed, read_decision, supported_by
from remit.policy.gate import ENTRYPOINT
from remit.policy.input import Phase, empty_document

#: A larger document is not sent to the engine. Arguments are bounded before; this bounds results.
_MAX_DOCUMENT_BYTES: Final = 8 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Asked:
    """A document as the engine reads it, canonical JSON. ``problem``: why it cannot be asked about, else empty."""

    document: Mapping[str, Any]
    text: bytes = b""
    problem: str = ""

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> Asked:
        """Never raises."""
        try:
            text = orjson.dumps(document, option=orjson.OPT_SORT_KEYS)
        except TypeError:
            return cls(document, problem="the input is not JSON")
        if len(text) > _MAX_DOCUMENT_BYTES:
            return cls(document, problem=f"the input is larger than {_MAX_DOCUMENT_BYTES} bytes")
        return cls(document, text)

    @property
    def digest(self) -> str:
        """SHA-256 of the text; empty where there is none."""
        return hashlib.sha256(self.text).hexdigest() if self.text else ""

    def decided(self, answer: bytes | str, basis: Basis, places: Places) -> Decision:
        """The engine's answer (JSON), as a decision; as ``str``: why there is no answer. Never raises."""
        if isinstance(answer, str):
            return failed(basis, answer)
        try:
            value = orjson.loads(answer)
        except ValueError:
            return failed(basis, "the engine's answer is not JSON")
        return read_decision(value, basis, places, supported_by(self.document))


#: The documents about nobody and nothing, one for each phase: a policy must have an answer even then.
_TRIALS: Final = tuple(Asked.of(empty_document(phase)) for phase in Phase)
#: The same as JSON.
TRIALS: Final = tuple(trial.text.decode() for trial in _TRIALS)


def check_trials(answers: Sequence[str | None], places: Places, revision: str) -> None:
    """Raise ``PolicyInvalid`` where one of the answers to ``TRIALS`` is no decision (``None``: there was none)."""
    for phase, trial, answer in zip(Phase, _TRIALS, answers, strict=True):
        given = f"{ENTRYPOINT} is undefined" if answer is None else answer.encode()
        decision = trial.decided(given, Basis("", revision), places)
        if isinstance(decision, Deny) and decision.failed:
            raise _unusable(phase, decision.detail, places)


def _unusable(phase: Phase, detail: str, places: Places) -> PolicyInvalid:
    return PolicyInvalid(
        f"the policy gives no usable decision for {phase}",
        where=places.entry,
        detail=detail,
        hint=f"{ENTRYPOINT} must be {{allow, reasons, obligations, policy}} for every input",
    )
