"""Path: what an author does with a policy before it is in force, each in a process of its own that can be ended."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from remit.policy.bundle import Bundle
from remit.policy.child import in_worker
from remit.policy.coverage import Coverage
from remit.policy.review import Review
from remit.policy.testing import TestReport

#: Long enough for thousands of tests; one that does not end is ended.
_SECONDS: Final = 60.0


async def review(bundle: Bundle) -> Review:
    """Everything that is wrong with the policy. Raises ``PolicyInvalid`` where that cannot be found out in time."""
    return Review.read(await in_worker("review", _payload(bundle), seconds=_SECONDS))


async def run_tests(bundle: Bundle, *, coverage: bool = False, pattern: str = "") -> TestReport:
    """The policy's own tests (``remit.policy.testing.run_tests``). Raises ``PolicyInvalid``, also where one does not end."""
    payload = {**_payload(bundle), "coverage": coverage, "pattern": pattern}
    return TestReport.read(await in_worker("tests", payload, seconds=_SECONDS))


async def reached(bundle: Bundle, document: Mapping[str, Any]) -> Coverage:
    """Which lines the decision about a document reaches. Raises ``PolicyInvalid``."""
    payload = {**_payload(bundle), "document": json.dumps(document)}
    return Coverage.read(await in_worker("reach", payload, seconds=_SECONDS))


def _payload(bundle: Bundle) -> dict[str, Any]:
    return {"modules": dict(bundle.modules), "data": bundle.data, "tests": dict(bundle.tests)}
