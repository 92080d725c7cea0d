"""Door: which lines of a policy a decision reaches."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from remit.errors import PolicyInvalid
from remit.policy.coverage import Coverage
from remit.policy.evaluator import parsed
from remit.policy.gate import ENTRYPOINT


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
