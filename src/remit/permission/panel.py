"""Noun: who is asked about a call, and what comes out of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from remit.approvals.approval import Approval, Approver, Binding, Terms
from remit.call import ToolCall
from remit.catalog.tool import ToolAuth
from remit.clock import Clock
from remit.exchange.messages import Wanted
from remit.policy.decision import Decision
from remit.policy.engine import PolicyEngine
from remit.policy.input import ExchangeTarget, Operation, Question
from remit.policy.obligations import Demands
from remit.principal import ActingParty, Caller, Principal


@dataclass(frozen=True, slots=True)
class Asked:
    """Who asks for what: a call whose caller and operation are known."""

    call: ToolCall
    caller: Caller
    acting: ActingParty
    operation: Operation

    @property
    def principal(self) -> Principal:
        """The caller without their token."""
        return self.caller.principal


#: What policy is asked about where there is nothing of the name that a caller gave.
NOTHING: Final[Operation] = ExchangeTarget(ToolAuth("none", "", "", (), "optional", 0), kind="tool")


@dataclass(frozen=True, slots=True)
class Permission:
    """A permit and all it demands. ``wanted``: what the token service may be asked for, within those demands.

    ``question`` is what policy permitted; ``approval`` the one it rests on, if it does.
    """

    demands: Demands
    wanted: Wanted
    question: Question = field(repr=False)
    approval: Approval | None = None
    binding: Binding | None = None


class Approvals(Protocol):
    """Where approvals are asked for, given and used (``remit.approvals.store``)."""

    async def ask(self, binding: Binding, terms: Terms, arguments: Mapping[str, Any]) -> Approval:
        """The live one of this call, or a new one that waits."""
        ...

    async def decide(
        self, approval_id: str, approver: Approver, *, grant: bool, method: str, binding: Binding | None = None
    ) -> Approval:
        """Give or refuse it. Raises ``ApprovalUnusable``."""
        ...

    async def use(self, approval_id: str, binding: Binding) -> Approval:
        """Use it up. Raises ``ApprovalUnusable``, the second time too."""
        ...


class Acquaintances(Protocol):
    """Which agent has acted for which user before (``remit.approvals.pairs``)."""

    async def is_first(self, principal: Principal, acting: ActingParty) -> bool:
        """Whether this agent has never acted for this user."""
        ...

    async def met(self, principal: Principal, acting: ActingParty) -> None:
        """From now on it has."""
        ...


class SecondOpinion(Protocol):
    """A policy that decides silently (``remit.policy.shadow``)."""

    def compare(self, call_id: str, document: Mapping[str, Any], decision: Decision) -> None:
        """Have it decide too, later; a difference is recorded."""
        ...


#: Seconds, where another policy is known as soon as it is in force.
LISTS_LAST: Final = 60.0
#: What the trail keeps of an input document (``remit.policy.inputs``): the document and its digest.
Keep = Callable[[Mapping[str, Any], str], Mapping[str, Any] | None]


@dataclass(frozen=True, slots=True)
class Panel:
    """Who is asked, and who remembers. ``redaction_key``: for what policy wants hashed.

    ``scopes_within_subject``: the token service gives only scopes that the caller's token holds, so a missing one can
    be told at once. ``lists_last``: seconds for which policy need not be asked again which tools a caller is shown.
    """

    policy: PolicyEngine
    approvals: Approvals
    pairs: Acquaintances
    clock: Clock
    keep: Keep
    redaction_key: bytes = field(repr=False)
    shadow: SecondOpinion | None = None
    scopes_within_subject: bool = True
    lists_last: float = LISTS_LAST
