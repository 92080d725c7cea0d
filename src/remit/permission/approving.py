"""Path: somebody has to approve this call: are they asked, did they say yes, and does policy take their word for it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from remit.approvals.approval import Approval, Approver, Binding, State, Terms
from remit.audit.trail import Record
from remit.catalog.tool import Tool
from remit.errors import ApprovalDenied, ApprovalRequired
from remit.permission.panel import Approvals, Asked
from remit.policy.input import ApprovalState, Question
from remit.policy.obligations import ApprovalTerms

_MAX_QUESTION: Final = 2000
#: Any other name of an argument may be made to look like a line of its own.
_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")


async def approval_of(asked: Asked, binding: Binding, terms: Terms, approvals: Approvals, record: Record) -> Approval:
    """The approval of this very call. Where there is none yet, the call ends here and somebody is asked.

    Raises ``ApprovalRequired``, ``ApprovalDenied`` and ``ApprovalUnusable``.
    """
    answer = asked.call.answer
    if answer is not None:
        user = Approver.of(asked.principal)
        await approvals.decide(answer.approval_id, user, grant=answer.accepted, method="elicitation", binding=binding)
    approval = await approvals.ask(binding, terms, asked.call.arguments)
    record.asked(approval)
    if approval.state is State.DENIED:
        raise ApprovalDenied("whoever was asked to approve this call said no")
    if approval.state is not State.APPROVED:
        raise _required(asked, approval, terms)
    return approval


def binding_of(question: Question) -> Binding:
    """What an approval is good for: this user, this agent, this tool as it is, exactly these arguments."""
    return Binding.of(
        question.principal,
        question.acting,
        tool=question.tool.name,
        tool_digest=question.tool.digest,
        arguments=question.arguments,
    )


def terms_of(demanded: Sequence[ApprovalTerms]) -> Terms:
    """All approvals that are demanded, as one that meets each."""
    seconds = min((each.expires_in for each in demanded), default=0)
    return Terms(tuple(each.approvers for each in demanded), seconds)


def fits(terms: Terms, approval: Approval, binding: Binding) -> bool:
    """Whether whoever approved may do so by ``terms``."""
    return approval.approver is not None and terms.admits(approval.approver, binding)


def state_of(approval: Approval) -> ApprovalState:
    """What policy sees of it."""
    approver = approval.approver.subject if approval.approver else ""
    return ApprovalState(approval.state.value, approval.id, approver, approval.method)


def question_of(asked: Asked) -> str:
    """What the user is asked, with every argument whole: nobody approves what they were not shown.

    Where that is too long for a dialogue, they are not asked there, but by `remit approvals show`.
    """
    arguments = (f"  {_named(name)}: {_shown(value)}" for name, value in sorted(asked.call.arguments.items()))
    agent, user = _plain(asked.acting.actor.sub), _plain(asked.principal.subject)
    head = f"{agent} wants to call {asked.operation.name} as {user}, with:"
    return "\n".join((*_message(asked), head, *arguments, "Allow it, this once?"))


def _message(asked: Asked) -> Iterator[str]:
    """What the tool file has to say about it, with the values of arguments as they are shown below."""
    approval = asked.operation.approval if isinstance(asked.operation, Tool) else None
    if approval is None or not approval.message:
        return
    given = asked.call.arguments
    parts = (part if isinstance(part, str) else _value_of(part.name, given) for part in approval.message)
    yield "".join(parts)


def _value_of(name: str, arguments: Mapping[str, Any]) -> str:
    return _shown(arguments[name]) if name in arguments else "(not given)"


def _required(asked: Asked, approval: Approval, terms: Terms) -> ApprovalRequired:
    people = " and ".join(" or ".join(alternatives) for alternatives in terms.approvers)
    question = question_of(asked)
    return ApprovalRequired(
        f"this call needs the approval of {people}",
        approval_id=approval.id,
        by_user=terms.asks_user and len(question) <= _MAX_QUESTION,
        expires_at=approval.expires_at,
        question=question[:_MAX_QUESTION],
    )


def _named(name: str) -> str:
    return name if _NAME.fullmatch(name) else _shown(name)


def _shown(value: Any) -> str:
    """As JSON, so that no two values look alike: a text stands in quotes, and what is escaped in it is told."""
    return _plain(json.dumps(value, ensure_ascii=False))


def _plain(text: str) -> str:
    """What does not print is escaped, so that no line is made up."""
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode() for character in text
    )
