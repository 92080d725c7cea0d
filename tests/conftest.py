"""Fixtures every test may use."""

from __future__ import annotations

import gc
import os

import pytest
from hypothesis import HealthCheck, settings

# How fast examples come says something of the machine, not of the product. In CI the examples are the same each time,
# so that a change is judged by itself; everywhere else new ones are tried.
settings.register_profile(
    "remit", deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize="CI" in os.environ
)
settings.load_profile("remit")

# The deadline of a decision is by the clock on the wall, and tests share their machine with each other.
os.environ.setdefault("REMIT_POLICY__DEADLINE", "2s")


def pytest_collection_finish() -> None:
    """Keep the garbage collector from going through what is loaded for all tests, again and again."""
    gc.collect()
    gc.freeze()


@pytest.fixture
def anyio_backend() -> str:
    """Asynchronous tests run on asyncio, the loop the product is served on."""
    return "asyncio"
