"""Noun: what the trail says of one call, or of one act of an operator, as plain JSON members.

One call leaves two records with one ``call_id``:

- the **intent**, durable before anything leaves: who, on whose behalf, which tool, under which decision, for
  which token;
- the **outcome**: how it ended, the token that was issued, what the API answered, how long each step took. Where
  the call was refused before an intent was due, the outcome carries all that was known by then.

What an operator does to the installation (a key is replaced, a token revoked) leaves one record, the **control**.
A request at the token endpoint leaves one too (``remit.audit.issuance``): **issued** or **refused**. Where a second
policy would have decided a call differently, that is a record beside the call's own, the **shadow**.

An intent without an outcome means that the process ended in between: the API may or may not have been called.

**Never written**: a token, secret or header; an argument's value; the request's URL, query or body; the response's
body. Arguments and results stand as SHA-256 and size. (A hash hides a value only as far as the value cannot be
guessed: somebody who can try all amounts can find the one that was refunded.) Text from outside is bounded,
stripped of what does not print, and anything that looks like a JWT in it is struck out. Two texts are written as
others phrase them and must hold no argument themselves: a policy's reasons, and ``RemitError.detail``. The
detail of a ``ToolError`` is left out, because it is about the arguments.

What policy was asked is kept beside its decision as the operator chose (``remit.policy.inputs``): not at all; without
the values of arguments and results, which is the default; or whole, and then **encrypted** with a key that is not
here. That is the one way in which an argument's value can be in a trail.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Any, Final
from urllib.parse import urlsplit

import orjson

from remit.audit.seen import ApprovalSeen, DecisionSeen, RequestSeen, TokenSeen, TrafficSeen, WantedSeen
from remit.errors import (
    ApprovalRequired,
    AuthenticationError,
    AuthorizationError,
    InternalError,
    RemitError,
    ToolError,
    ToolHidden,
)
from remit.principal import ActingParty, DelegationChain, Principal

#: Members of a record; every value is a string, a boolean, a whole number, or lists and objects of these.
Facts = dict[str, Any]

MAX_TEXT: Final = 500
_MAX_ITEMS: Final = 256
_JWT = re.compile(r"eyJ[A-Za-z0-9_-]{8,}(\.[A-Za-z0-9_-]*){0,4}")


class Kind(StrEnum):
    """Which of a call's two records, what stands beside them, or the record of something that is no call."""

    INTENT = "intent"
    OUTCOME = "outcome"
    CONTROL = "control"
    ISSUED = "issued"
    REFUSED = "refused"
    SHADOW = "shadow"


class Outcome(StrEnum):
    """How a call ended."""

    SUCCESS = "success"
    PENDING = "pending"  # nothing was called: somebody is asked to approve it
    DENIED = "denied"  # not authenticated, or not permitted
    FAILURE = "failure"  # the arguments, the exchange, the API or the trail
    ERROR = "error"  # what nobody foresaw
    CANCELLED = "cancelled"  # the caller gave up, or the server stopped


def text(value: str, limit: int = MAX_TEXT) -> str:
    """Text from outside as it may be written: bounded, printable, and without anything that looks like a JWT."""
    if "eyJ" in value:
        value = _JWT.sub("[token]", value)
    value = value[:limit]
    return (
        value if value.isprintable() else "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in value)
    )


def texts(values: Iterable[str]) -> list[str]:
    """``text`` for each of the first 256."""
    return [text(value) for value, _ in zip(values, range(_MAX_ITEMS), strict=False)]


def of_bytes(data: bytes) -> Facts:
    """SHA-256 and size."""
    return {"sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)}


def of_arguments(arguments: Mapping[str, Any]) -> Facts:
    """SHA-256 and size of the arguments' canonical JSON (sorted keys, no white space, UTF-8).

    Empty for what JSON cannot hold or what is nested too deeply to write: such a call is refused later anyway.
    """
    try:
        return of_bytes(orjson.dumps(arguments, option=orjson.OPT_SORT_KEYS))
    except TypeError:  # an integer beyond 64 bits, a lone surrogate, too deep
        pass
    try:
        return of_bytes(json.dumps(arguments, sort_keys=True, separators=(",", ":")).encode())
    except (TypeError, ValueError, RecursionError):
        return {}


def of_principal(principal: Principal) -> Facts:
    """The subject and what their token says, without the token."""
    return {
        "subject": text(principal.subject),
        "issuer": text(principal.issuer),
        "name": text(principal.name),
        "client_id": text(principal.client_id),
        "scopes": texts(principal.scopes),
        "chain": of_chain(principal.chain),
        "jti": text(principal.jti),
        "txn": text(principal.txn),
    }


def of_chain(chain: DelegationChain) -> list[Facts]:
    """The actors, newest first."""
    return [{"sub": text(actor.sub), "iss": text(actor.iss)} for actor in chain.actors]


def of_acting(acting: ActingParty) -> Facts:
    """The agent, how it is known to be one, and through whom it acts where that is not itself."""
    via = {"sub": text(acting.via.sub), "iss": text(acting.via.iss)} if acting.via else None
    return {
        "sub": text(acting.actor.sub),
        "iss": text(acting.actor.iss),
        "assurance": acting.assurance.value,
        "evidence": text(acting.evidence),
        **({"via": via} if via else {}),
    }


def of_decision(decision: DecisionSeen) -> Facts:
    """What policy said, by which rule of which revision, about which input."""
    return {
        "allow": decision.allow,
        "id": text(decision.decision_id),
        "rule": text(decision.rule),
        "reasons": [
            {"code": text(reason.code), "message": text(reason.message)} for reason in decision.reasons[:_MAX_ITEMS]
        ],
        "obligations": texts(obligation.type for obligation in decision.obligations),
        "revision": text(decision.revision),
        "input_digest": text(decision.input_digest),
        "duration_us": decision.duration_us,
        **({"detail": text(decision.detail)} if decision.detail else {}),
    }


def of_kept(kept: Mapping[str, str]) -> Facts:
    """What is kept of the document policy was asked about. What is sealed stays as it is, whatever it looks like."""
    if kept["mode"] == "redacted" and "eyJ" in kept["text"]:
        return {**kept, "text": _JWT.sub("[token]", kept["text"])}
    return dict(kept)


def of_approval(approval: ApprovalSeen) -> Facts:
    """Who was asked to approve the call, or did; not what they were shown. ``decided_at``: seconds since the epoch."""
    approver = approval.approver
    return {
        "id": text(approval.id),
        "state": text(approval.state),
        "approver": {"sub": text(approver.subject), "iss": text(approver.issuer)} if approver else {},
        "method": text(approval.method),
        "decided_at": approval.decided_at,
    }


def of_shadow(difference: Mapping[str, Any]) -> Facts:
    """What policy decided (``live``) and what the second one would have (``shadow``), in one phase of the call."""
    sides = {side: _of_side(difference[side]) for side in ("live", "shadow")}
    return {"phase": text(difference.get("phase", "")), **sides}


def _of_side(side: Mapping[str, Any]) -> Facts:
    return {
        "allow": side["allow"] is True,
        "rule": text(side["rule"]),
        "revision": text(side["revision"]),
        "reasons": texts(side.get("reasons", ())),
        "obligations": texts(side.get("obligations", ())),
    }


def of_wanted(wanted: WantedSeen) -> Facts:
    """What the token service will be asked for. ``max_lifetime`` is in seconds."""
    return {
        "audience": text(wanted.target.audience),
        "resource": text(wanted.target.resource),
        "scopes": texts(wanted.scopes),
        "max_lifetime": wanted.max_lifetime,
    }


def of_token(token: TokenSeen, parent_jti: str) -> Facts:
    """The issued token's claims that tie it to this call. ``exp`` is in seconds since the epoch.

    One that this installation got for itself (``direct``) comes of no other.
    """
    return {
        "jti": text(token.jti),
        "parent_jti": "" if token.kind == "direct" else text(parent_jti),
        "audience": text(token.target.audience),
        "resource": text(token.target.resource),
        "scopes": texts(token.scopes),
        "exp": token.expires_at,
        "chain": of_chain(token.chain),
        "kind": text(token.kind),
    }


def of_request(request: RequestSeen | TrafficSeen, path_template: str) -> Facts:
    """Where the call went: the path as the tool's file has it, because the real one holds arguments."""
    parts = urlsplit(request.url)
    host = parts.netloc.rpartition("@")[2]
    return {"method": text(request.method), "host": text(host), "path": text(path_template)}


def of_error(error: BaseException | None) -> Facts:
    """The outcome, and for anything but success the error's code and detail."""
    outcome = outcome_of(error)
    if error is None or outcome is Outcome.CANCELLED:
        return {"outcome": outcome.value}
    if not isinstance(error, RemitError):
        # Its text may hold anything, so only its kind is written; the log has the rest.
        return {"outcome": outcome.value, "error": {"code": InternalError.code, "detail": type(error).__qualname__}}
    detail = "" if isinstance(error, ToolError) else error.detail
    return {"outcome": outcome.value, "error": {"code": error.code, "detail": text(detail)}}


def outcome_of(error: BaseException | None) -> Outcome:
    """How a call ended that ended with ``error``."""
    if error is None:
        return Outcome.SUCCESS
    if not isinstance(error, Exception):  # CancelledError; or the process was told to stop
        return Outcome.CANCELLED
    if isinstance(error, ApprovalRequired):
        return Outcome.PENDING
    if isinstance(error, AuthenticationError | AuthorizationError | ToolHidden):
        return Outcome.DENIED
    unforeseen = isinstance(error, InternalError) or not isinstance(error, RemitError)
    return Outcome.ERROR if unforeseen else Outcome.FAILURE
