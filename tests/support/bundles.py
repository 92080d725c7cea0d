"""Bundles as archives, made by hand so that they can be wrong in every way; and OPA, where there is one."""

from __future__ import annotations

import io
import shutil
import subprocess
import tarfile
from collections.abc import Mapping
from pathlib import Path

import pytest

from remit.policy.bundle import Bundle

OPA = shutil.which("opa")
needs_opa = pytest.mark.skipif(OPA is None, reason="there is no opa on the PATH to compare with")


def packed(path: Path, files: Mapping[str, str | bytes], *members: tarfile.TarInfo) -> Path:
    """``path``, an archive of these files and, after them, of members that hold nothing."""
    with tarfile.open(path, "w:gz") as archive:
        for name, content in files.items():
            raw = content.encode() if isinstance(content, str) else content
            member = tarfile.TarInfo(name)
            member.size = len(raw)
            archive.addfile(member, io.BytesIO(raw))
        for member in members:
            archive.addfile(member)
    return path


def member(name: str, kind: bytes = tarfile.REGTYPE, target: str = "") -> tarfile.TarInfo:
    """A member that holds nothing."""
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


def opa(*arguments: str, cwd: Path | None = None) -> str:
    """What ``opa`` prints. Raises ``CalledProcessError``."""
    assert OPA is not None
    done = subprocess.run([OPA, *arguments], cwd=cwd, check=True, capture_output=True, text=True, encoding="utf-8")
    return done.stdout


def says(bundle: Bundle) -> tuple[dict[str, str], dict[str, object], str]:
    """What of a bundle is the same wherever it was read from."""
    return dict(bundle.modules), dict(bundle.data), bundle.revision
