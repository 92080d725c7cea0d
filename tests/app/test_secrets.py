from __future__ import annotations

import os
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from remit.app.secrets import InstallationSecret
from remit.errors import StateInvalid


def test_it_is_made_once_and_the_same_afterwards(tmp_path: Path) -> None:
    path = tmp_path / "state" / "secret.key"
    first = InstallationSecret(path)
    assert InstallationSecret(path).key("a") == first.key("a")
    if os.name == "posix":
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_many_at_once_have_one_secret(tmp_path: Path) -> None:
    with ThreadPoolExecutor(16) as threads:
        made = list(threads.map(lambda _: InstallationSecret(tmp_path / "secret.key").key("a"), range(64)))
    assert len(set(made)) == 1


def test_no_purpose_has_the_key_of_another_or_the_secret_itself(tmp_path: Path) -> None:
    path = tmp_path / "secret.key"
    secret = InstallationSecret(path)
    assert len({secret.key("request state"), secret.key("redaction"), path.read_bytes()}) == 3


def test_a_file_that_is_no_secret_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "secret.key"
    path.touch(mode=0o600)
    path.write_bytes(b"short")
    with pytest.raises(StateInvalid, match="secret"):
        InstallationSecret(path)


@pytest.mark.skipif(os.name != "posix", reason="modes mean something on POSIX only")
def test_a_secret_that_others_may_read_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "secret.key"
    InstallationSecret(path)
    path.chmod(0o640)
    with pytest.raises(StateInvalid, match="secret"):
        InstallationSecret(path)
