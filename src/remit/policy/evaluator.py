"""Door: the Rego engine itself (microsoft/regorus, through ``gordon-to-regorus``): text in, text out.

A policy is used only after it was parsed, has passed the gate (``remit.policy.gate``) and was evaluated once in every
phase. Each evaluation is made on a clone of that engine, because a failed ``set_input`` would leave the input of the
caller before.

The engine belongs to the thread that made it (any other gets no answer), holds the interpreter lock while it evaluates
and cannot be stopped. A worker process imports this module, so it imports little itself.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

import regorus

from remit.errors import PolicyInvalid
from remit.policy import adapter, gate
from remit.policy.syntax import Module

#: What the engine answers where the entrypoint has no value. A policy that answers this text is refused all the same.
_UNDEFINED: Final = '"<undefined>"'
_LIMITS: Final = {"max_col": 1_000_000, "max_file_bytes": 1_000_000, "max_lines": 20_000}
_LOCATION: Final = re.compile(r"--> (\S+:\d+:\d+)")
_MESSAGE: Final = re.compile(r"^error: (.*)", re.MULTILINE)
_MAX_DETAIL: Final = 2000


class Undecided(Exception):
    """The engine gave no answer. Says why, without any value of the input."""


class Evaluator:
    """One policy, ready to be asked. ``data`` is JSON. Raises ``PolicyInvalid`` (file:line:column).

    ``entry`` is where the entrypoint is (``file:line``), ``codes`` where each short text of the policy stands.
    """

    def __init__(self, modules: Mapping[str, str], data: str) -> None:
        self._engine = _parsed(modules, data)
        trees: list[Module] = json.loads(self._engine.get_ast_as_json())
        _pass_gate(trees)
        self.entry = ",".join(gate.entrypoints(trees, gate.PACKAGE, gate.RULE))
        self.codes = gate.reason_places(trees)

    def answer(self, document: str) -> str:
        """The entrypoint's value for an input document, both JSON. Raises ``Undecided``, and nothing of the engine's."""
        try:
            return _evaluated(self._engine.clone(), document)
        except (Undecided, KeyboardInterrupt, SystemExit):
            raise
        except BaseException as error:  # its PanicException is no Exception
            raise Undecided(_reason(error)) from error

    def try_out(self, documents: Sequence[str]) -> list[str | None]:
        """The answers to these, ``None`` where there is none. Raises ``PolicyInvalid`` where evaluation fails.

        On the engine itself, not on clones: what it prepares for its first evaluation, its clones have (a decision
        takes a third of the time). To be called before anybody is asked about.
        """
        return [self._tried(document) for document in documents]

    def _tried(self, document: str) -> str | None:
        try:
            return _evaluated(self._engine, document)
        except (KeyboardInterrupt, SystemExit):
            raise
        except Undecided:
            return None
        except BaseException as error:  # as above
            raise _invalid(error, self.entry) from error


def parsed(modules: Mapping[str, str], data: Mapping[str, Any]) -> Any:
    """The engine with these modules and data, nothing but parsed. Raises ``PolicyInvalid``."""
    return _parsed(modules, json.dumps(data))


def _evaluated(engine: Any, document: str) -> str:
    engine.set_input_json(document)
    answer: str = engine.eval_rule_as_json(gate.ENTRYPOINT)
    if answer == _UNDEFINED:
        raise Undecided(f"{gate.ENTRYPOINT} is undefined")
    return answer


def _reason(error: BaseException) -> str:
    """Where evaluation ended. The engine's own words may quote arguments, and this goes to the trail."""
    location = _LOCATION.search(str(error))
    return f"evaluation failed at {location[1]}" if location else f"evaluation failed: {type(error).__name__}"


def _parsed(modules: Mapping[str, str], data: str) -> Any:
    engine = regorus.Engine()
    engine.set_policy_length_config(**_LIMITS)
    if adapter.functions(modules):
        engine.add_extension(adapter.FUNCTION, 1, adapter.decode)
    for path, source in modules.items():
        try:
            engine.add_policy(path, source)
        except RuntimeError as error:
            raise _invalid(error, path) from error
    try:
        engine.add_data_json(f'{{"{gate.DATA_ROOT}":{data}}}')
    except RuntimeError as error:
        raise PolicyInvalid(
            "the policy's data cannot be used", detail=_told(error), hint="nest it less deeply, in plain JSON"
        ) from error
    return engine


def _invalid(error: BaseException, path: str) -> PolicyInvalid:
    """What the engine says of a policy. No caller's values can be in it: none has asked yet."""
    text = _told(error)
    location, message = _LOCATION.search(text), _MESSAGE.search(text)
    return PolicyInvalid(
        f"the policy cannot be used: {message[1] if message else 'the engine refuses it'}",
        where=location[1] if location else path,
        detail=text[:_MAX_DETAIL],
    )


def _told(error: BaseException) -> str:
    return str(error).split("Stack backtrace", maxsplit=1)[0].strip()[:_MAX_DETAIL]


def _pass_gate(trees: Sequence[Module]) -> None:
    found = gate.objections(trees)
    if found:
        raise PolicyInvalid(
            found[0].message,
            where=found[0].where,
            detail="; ".join(f"{objection.where}: {objection.message}" for objection in found[:20]),
            hint="use the built-in functions that depend on their arguments alone; the time is input.time",
        )
    if not gate.entrypoints(trees, gate.PACKAGE, gate.RULE):
        raise PolicyInvalid(
            f"no file defines {gate.ENTRYPOINT}", hint=f"begin with `package {gate.PACKAGE}` and `{gate.RULE} := …`"
        )
