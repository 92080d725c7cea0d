"""Door: the embedded Rego engine (microsoft/regorus, through ``gordon-to-regorus``).

A policy is used only after it was parsed, has passed the gate (``remit.policy.gate``) and has given a well-formed
decision about the empty document in both phases. Each decision is made on a clone of that engine, because a failed
``set_input`` would leave the input of the caller before.

The engine belongs to the thread that made it (any other gets a deny), holds the interpreter lock while it evaluates
and cannot be stopped: a policy that does not end stops the process. Its entrypoint is ``data.remit.authz.decision``.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import re
import secrets
from collections.abc import Mapping, Sequence
from typing import Any, Final

import orjson
import regorus

from remit.clock import Clock
from remit.errors import PolicyInvalid
from remit.policy import gate
from remit.policy.bundle import Bundle
from remit.policy.decision import Basis, Decision, Deny, Places, failed, read_decision, supported_by
from remit.policy.input import Phase, empty_document
from remit.policy.syntax import Module

PACKAGE: Final = "remit.authz"
RULE: Final = "decision"

_ENTRYPOINT: Final = f"data.{PACKAGE}.{RULE}"
#: What the engine answers where the entrypoint has no value. A policy that answers this text is refused all the same.
_UNDEFINED: Final = "<undefined>"
_LIMITS: Final = {"max_col": 1_000_000, "max_file_bytes": 1_000_000, "max_lines": 20_000}
_LOCATION: Final = re.compile(r"--> (\S+:\d+:\d+)")
_MESSAGE: Final = re.compile(r"^error: (.*)", re.MULTILINE)
#: After so many decisions in a row other work gets a turn.
_TURN: Final = 16


class RegoEngine:
    """``PolicyEngine`` in this process. Raises ``PolicyInvalid`` (file:line:column) for a policy that must not be used."""

    def __init__(self, bundle: Bundle, clock: Clock) -> None:
        self._bundle = bundle
        self._clock = clock
        self._engine = parsed(bundle.modules, bundle.data)
        modules = orjson.loads(self._engine.get_ast_as_json())
        _pass_gate(modules)
        self._places = Places(",".join(gate.entrypoints(modules, PACKAGE, RULE)), gate.reason_places(modules))
        self._try_out()

    @property
    def revision(self) -> str:
        """The bundle's."""
        return self._bundle.revision

    async def aclose(self) -> None:
        """Nothing runs apart from this process."""

    async def decide(self, document: Mapping[str, Any]) -> Decision:
        """See ``PolicyEngine.decide``."""
        return self._decided(self._clone(), document)

    async def decide_many(self, documents: Sequence[Mapping[str, Any]]) -> list[Decision]:
        """See ``PolicyEngine.decide_many``. One clone serves all, and other work gets its turn in between."""
        engine = self._clone()
        decisions: list[Decision] = []
        for number, document in enumerate(documents, start=1):
            decisions.append(self._decided(engine, document))
            if number % _TURN == 0:
                await asyncio.sleep(0)
        return decisions

    def _clone(self) -> Any:
        """A clone, or the error that there is none: it belongs to a decision, like every other."""
        try:
            return self._engine.clone()
        except _PASSED_ON:
            raise
        except BaseException as error:  # noqa: BLE001  see _answer
            return error

    def _decided(self, engine: Any, document: Mapping[str, Any]) -> Decision:
        started = self._clock.monotonic()
        answer, digest, problem = None, "", ""
        try:
            text = orjson.dumps(document, option=orjson.OPT_SORT_KEYS)
            digest = hashlib.sha256(text).hexdigest()
            answer = _answer(engine, text.decode())
        except _Undecided as error:
            problem = str(error)
        except TypeError:
            problem = "the input is not JSON"
        duration = round((self._clock.monotonic() - started) * 1_000_000)
        basis = Basis(secrets.token_hex(12), self.revision, digest, duration)
        if problem:
            return failed(basis, problem)
        return read_decision(answer, basis, self._places, supported_by(document))

    def _try_out(self) -> None:
        """Both phases about nobody and nothing: a policy must have an answer even then.

        On the engine itself, not on a clone: what it prepares for its first evaluation, its clones have (a decision
        takes a third of the time).
        """
        for phase in Phase:
            try:
                answer = _answer(self._engine, orjson.dumps(empty_document(phase)).decode())
            except _Undecided as error:
                if error.__cause__ is not None:
                    raise _invalid(error.__cause__, self._places.entry) from error
                raise self._unusable(phase, str(error)) from error
            decision = read_decision(answer, Basis("", self.revision), self._places)
            if isinstance(decision, Deny) and decision.failed:
                raise self._unusable(phase, decision.detail)

    def _unusable(self, phase: Phase, detail: str) -> PolicyInvalid:
        return PolicyInvalid(
            f"the policy gives no usable decision for {phase}",
            where=self._places.entry,
            detail=detail,
            hint=f"{_ENTRYPOINT} must be {{allow, reasons, obligations, policy}} for every input",
        )


#: What is not the engine's doing.
_PASSED_ON: Final = (KeyboardInterrupt, SystemExit, asyncio.CancelledError)


class _Undecided(Exception):
    """The engine gave no answer; says why, without any value of the input."""


def _answer(engine: Any, text: str) -> Any:
    """Evaluate the entrypoint. Raises ``_Undecided``, and nothing else of the engine's."""
    if isinstance(engine, BaseException):
        raise _Undecided(_reason(engine)) from engine
    try:
        engine.set_input_json(text)
        answer = orjson.loads(engine.eval_rule_as_json(_ENTRYPOINT))
    except _PASSED_ON:
        raise
    except BaseException as error:  # its PanicException is no Exception
        raise _Undecided(_reason(error)) from error
    if answer == _UNDEFINED:
        raise _Undecided(f"{_ENTRYPOINT} is undefined")
    return answer


def _reason(error: BaseException) -> str:
    """Where evaluation ended. The engine's own words may quote arguments, and this goes to the trail."""
    location = _LOCATION.search(str(error))
    return f"evaluation failed at {location[1]}" if location else f"evaluation failed: {type(error).__name__}"


def parsed(modules: Mapping[str, str], data: Mapping[str, Any]) -> Any:
    """An engine with these modules and data. Nothing is checked but the syntax. Raises ``PolicyInvalid``."""
    engine = regorus.Engine()
    engine.set_policy_length_config(**_LIMITS)
    for path, source in modules.items():
        try:
            engine.add_policy(path, source)
        except RuntimeError as error:
            raise _invalid(error, path) from error
    engine.add_data_json(json.dumps({gate.DATA_ROOT: data}))
    return engine


def _invalid(error: BaseException, path: str) -> PolicyInvalid:
    """What the engine says of a policy. No caller's values can be in it: none has asked yet."""
    text = str(error).split("Stack backtrace", maxsplit=1)[0]
    location, message = _LOCATION.search(text), _MESSAGE.search(text)
    return PolicyInvalid(
        f"the policy cannot be used: {message[1] if message else 'the engine refuses it'}",
        where=location[1] if location else path,
        detail=text.strip()[:2000],
    )


def _pass_gate(modules: Sequence[Module]) -> None:
    found = gate.objections(modules)
    if found:
        raise PolicyInvalid(
            found[0].message,
            where=found[0].where,
            detail="; ".join(f"{objection.where}: {objection.message}" for objection in found[:20]),
            hint="use the built-in functions that depend on their arguments alone; the time is input.time",
        )
    if not gate.entrypoints(modules, PACKAGE, RULE):
        raise PolicyInvalid(f"no file defines {_ENTRYPOINT}", hint=f"begin with `package {PACKAGE}` and `{RULE} := …`")
