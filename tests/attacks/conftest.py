"""What all attacks share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from support.attacked import Shop, attacked


@pytest.fixture(scope="session")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """One for all: no attack gets anywhere."""
    with attacked(tmp_path_factory.mktemp("shop")) as running:
        yield running
