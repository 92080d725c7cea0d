"""What was revoked: a deny-list that all processes of one state directory share, and the kill switch."""

from __future__ import annotations

from remit.sts.revocation.entry import Kind, Order, Revocation
from remit.sts.revocation.file import RevocationFile
from remit.sts.revocation.list import NothingRevoked, RevocationList, Revocations

__all__ = ["Kind", "NothingRevoked", "Order", "Revocation", "RevocationFile", "RevocationList", "Revocations"]
