"""Door: which lines of a policy a decision reaches."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from remit.errors import PolicyInvalid
from remit.policy.coverage import Coverage
from remit.policy.evaluator import parsed
from remit.policy.expressions import written
from remit.policy.gate import ENTRYPOINT
from remit.policy.syntax import Module, heads, package_of


def reached(modules: Mapping[str, str], data: Mapping[str, Any], document: str) -> Coverage:
    """The lines that the decision about an input document (JSON) reaches: those that hold, up to one that does not.

    The policy must have passed the gate. Raises ``PolicyInvalid`` where the evaluation fails. Ends when the policy does.
    """
    engine = parsed(modules, data)
    engine.set_enable_coverage(True)
    try:
        engine.set_input_json(document)
        engine.eval_rule_as_json(ENTRYPOINT)
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:  # the engine's PanicException is no Exception
        raise PolicyInvalid("the policy fails on this input", detail=type(error).__name__) from error
    return Coverage.of([json.loads(engine.get_coverage_report_as_json())], modules)


def unreached(engine: Any, module: Module) -> dict[str, Any]:
    """A report like the engine's, in which no line of a module is reached.

    The engine tells nothing of a module before it has evaluated something in it, so rules are evaluated until it does.
    """
    file = module["source"]["file"]
    for query in _queries(module):
        probe = engine.clone()
        try:
            probe.eval_query_as_json(query)
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException:  # noqa: BLE001, S110  as above; a rule that fails was evaluated, too
            pass
        for each in json.loads(probe.get_coverage_report_as_json())["files"]:
            lines = [*each["covered"], *each["not_covered"]]
            if each["path"] == file and lines:
                return {"files": [{"path": file, "covered": [], "not_covered": lines}]}
    return {"files": []}


def _queries(module: Module) -> Iterator[str]:
    package = package_of(module)
    for rule, (head, is_function) in zip(module["ast"]["rules"], heads(module), strict=True):
        (body,) = rule.values()
        (shape,) = body["head"].values() if "head" in body else (body,)
        arguments = f"({', '.join('null' for _ in shape['args'])})" if is_function else ""
        yield f"data.{package}.{written(head)}{arguments}"
