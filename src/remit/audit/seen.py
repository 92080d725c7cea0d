"""Noun: what the trail sees of the values the other steps make, and nothing besides.

Spelled as protocols, so that the trail imports none of those steps and can be read for what it might write.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from remit.principal import DelegationChain


class ToolSeen(Protocol):
    """What the trail sees of a tool."""

    @property
    def digest(self) -> str:
        """SHA-256 of the canonical definition."""
        ...

    @property
    def description_digest(self) -> str:
        """SHA-256 of the operation of an API description that it stands on, empty where there is none."""
        ...

    @property
    def upstream(self) -> str:
        """The name of the tool file's API."""
        ...

    @property
    def path(self) -> str:
        """The request's path as the tool file has it, with ``{name}`` for arguments."""
        ...


class ReasonSeen(Protocol):
    """What the trail sees of a policy's reason."""

    @property
    def code(self) -> str:
        """For programs."""
        ...

    @property
    def message(self) -> str:
        """For people, as the policy phrases it."""
        ...


class ObligationSeen(Protocol):
    """What the trail sees of a policy's obligation."""

    @property
    def type(self) -> str:
        """Which kind it is."""
        ...


class DecisionSeen(Protocol):
    """What the trail sees of a policy decision."""

    @property
    def allow(self) -> bool:
        """Whether it is a permit."""
        ...

    @property
    def decision_id(self) -> str:
        """Names this decision."""
        ...

    @property
    def revision(self) -> str:
        """Of the policy."""
        ...

    @property
    def rule(self) -> str:
        """What decided."""
        ...

    @property
    def reasons(self) -> Sequence[ReasonSeen]:
        """Why."""
        ...

    @property
    def obligations(self) -> Sequence[ObligationSeen]:
        """What a permit demands."""
        ...

    @property
    def input_digest(self) -> str:
        """SHA-256 of the input document."""
        ...

    @property
    def duration_us(self) -> int:
        """How long it took."""
        ...

    @property
    def detail(self) -> str:
        """What the operator should know, where no decision could be had."""
        ...


class ApproverSeen(Protocol):
    """What the trail sees of somebody who decided about an approval."""

    @property
    def issuer(self) -> str:
        """Who vouches for them."""
        ...

    @property
    def subject(self) -> str:
        """Their id there."""
        ...


class ApprovalSeen(Protocol):
    """What the trail sees of an approval."""

    @property
    def id(self) -> str:
        """Names it."""
        ...

    @property
    def state(self) -> str:
        """What became of it."""
        ...

    @property
    def approver(self) -> ApproverSeen | None:
        """Who decided; nobody yet."""
        ...

    @property
    def method(self) -> str:
        """How they were asked."""
        ...

    @property
    def decided_at(self) -> int:
        """When they decided, in seconds since the epoch; 0 until then."""
        ...


class ParentSeen(Protocol):
    """What the trail sees of the call whose code makes another."""

    @property
    def call_id(self) -> str:
        """Names it in the trail."""
        ...

    @property
    def tool(self) -> str:
        """Which tool's code it is."""
        ...


class TargetSeen(Protocol):
    """What the trail sees of a target."""

    @property
    def audience(self) -> str:
        """Logical name (RFC 8693 §2.1)."""
        ...

    @property
    def resource(self) -> str:
        """URI (RFC 8693 §2.1)."""
        ...


class WantedSeen(Protocol):
    """What the trail sees of what a call needs of the token service."""

    @property
    def target(self) -> TargetSeen:
        """For which API."""
        ...

    @property
    def scopes(self) -> Sequence[str]:
        """With which scopes."""
        ...

    @property
    def max_lifetime(self) -> int:
        """For how many seconds at most."""
        ...


class TokenSeen(Protocol):
    """What the trail sees of a delegated token; never its text."""

    @property
    def target(self) -> TargetSeen:
        """For which API."""
        ...

    @property
    def scopes(self) -> Sequence[str]:
        """With which scopes."""
        ...

    @property
    def chain(self) -> DelegationChain:
        """Who acts, newest first."""
        ...

    @property
    def jti(self) -> str:
        """Its id."""
        ...

    @property
    def expires_at(self) -> int:
        """Seconds since the epoch."""
        ...

    @property
    def kind(self) -> str:
        """``delegated``, or ``impersonated`` where the token names no actor."""
        ...


class RequestSeen(Protocol):
    """What the trail sees of an API request; of its URL only the host."""

    @property
    def method(self) -> str:
        """The HTTP method."""
        ...

    @property
    def url(self) -> str:
        """The whole URL."""
        ...


class ResponseSeen(Protocol):
    """What the trail sees of an API response; of its body only the size."""

    @property
    def status(self) -> int:
        """The HTTP status."""
        ...

    @property
    def body(self) -> bytes:
        """The whole body."""
        ...


class TrafficSeen(Protocol):
    """What the trail sees of a request and its answer that a door passed on part by part."""

    @property
    def method(self) -> str:
        """The HTTP method."""
        ...

    @property
    def url(self) -> str:
        """The whole URL, of which the trail has the host."""
        ...

    @property
    def template(self) -> str:
        """The path as the route has it."""
        ...

    @property
    def status(self) -> int:
        """The HTTP status, 0 where no answer came."""
        ...

    @property
    def sent(self) -> int:
        """Bytes of the request's body."""
        ...

    @property
    def received(self) -> int:
        """Bytes of the answer's body."""
        ...


class ResultSeen(Protocol):
    """What the trail sees of a shaped result; only digest and size."""

    @property
    def text(self) -> str:
        """What the agent reads."""
        ...

    @property
    def truncated(self) -> bool:
        """Whether some of it was left out."""
        ...
