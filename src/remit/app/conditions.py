"""Rule: what people have to do before a call is made, in words, and the question as it is once they did."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

from remit.approvals.approval import Approver, Terms
from remit.errors import PolicyFailed
from remit.permission.approving import binding_of, terms_of
from remit.policy.input import ApprovalState, Question
from remit.policy.obligations import Demands, StepUp
from remit.principal import Principal

_THE_USER: Final = "user"
_SOMEBODY: Final = "somebody"


@dataclass(frozen=True, slots=True)
class Met:
    """``conditions`` are what has to be done, ``question`` what policy is asked then; ``approver`` who approved."""

    question: Question
    conditions: tuple[str, ...] = ()
    approver: Approver | None = None

    def check(self, demands: Demands) -> None:
        """Whether the approval is one that policy still demands. Raises ``PolicyFailed``."""
        terms = terms_of(demands.approvals)
        if terms.approvers and (self.approver is None or not terms.admits(self.approver, binding_of(self.question))):
            raise PolicyFailed(
                "once that is done, policy demands another approval",
                hint="let the policy demand one approval, or none once input.context.approval.state is approved",
            )


def met(question: Question, demands: Demands) -> Met:
    """The question as it is once everything that ``demands`` wants of people is done.

    Raises ``PolicyFailed`` where nobody can do it.
    """
    principal, conditions = question.principal, list(_conditions(question, demands))
    for step_up in demands.step_ups:
        principal = _signed_in(principal, step_up, question.now)
    question = replace(question, principal=principal)
    if not demands.approvals:
        return Met(question, tuple(conditions))
    approver = _approver(question, terms_of(demands.approvals))
    is_user = approver.subject == principal.subject and approver.issuer == principal.issuer
    approval = ApprovalState("approved", "supposed", approver.subject, "elicitation" if is_user else "operator")
    return Met(replace(question, approval=approval), tuple(conditions), approver)


# ── in words ─────────────────────────────────────────────────────────────────────────────


def _conditions(question: Question, demands: Demands) -> Iterator[str]:
    principal = question.principal
    for step_up in dict.fromkeys(demands.step_ups):
        # How long ago they signed in is only supposed.
        if step_up.max_age or not step_up.is_met(principal, question.now):
            yield f"the user signs in again{_how(step_up)}"
    people = [_people(terms.approvers) for terms in demands.approvals]
    if people:
        yield f"{', who is also '.join(dict.fromkeys(people))} approves it"


def _how(step_up: StepUp) -> str:
    acr = f" with acr {' or '.join(step_up.acr_values)}" if step_up.acr_values else ""
    scopes = f" for the scope {' '.join(step_up.scopes)}" if step_up.scopes else ""
    return f"{acr}{scopes}{f', no more than {step_up.max_age} s before' if step_up.max_age else ''}"


def _people(approvers: Sequence[str]) -> str:
    return " or ".join(_person(name) for name in approvers)


def _person(name: str) -> str:
    kind, _, rest = name.partition(":")
    match kind:
        case "role":
            return f"somebody else with the role {rest}"
        case "group":
            return f"somebody else in the group {rest}"
        case _:
            return rest or "the user"


# ── as it is then ────────────────────────────────────────────────────────────────────────


def _signed_in(principal: Principal, step_up: StepUp, now: float) -> Principal:
    acr = principal.acr if principal.acr in step_up.acr_values or not step_up.acr_values else step_up.acr_values[0]
    scopes = tuple(dict.fromkeys((*principal.scopes, *step_up.scopes)))
    return replace(principal, acr=acr, scopes=scopes, auth_time=int(now))


def _approver(question: Question, terms: Terms) -> Approver:
    """Somebody who may approve the call. Raises ``PolicyFailed`` where nobody fits all that is demanded."""
    binding = binding_of(question)
    candidates = [Approver.of(question.principal)]
    candidates += [_stand_in(question.principal, name, terms) for names in terms.approvers for name in names]
    for candidate in candidates:
        if terms.admits(candidate, binding):
            return candidate
    raise PolicyFailed("nobody can give all the approvals that policy demands at once")


def _stand_in(principal: Principal, name: str, terms: Terms) -> Approver:
    """Whoever the name stands for, with all roles and groups that the terms name."""
    issuer, subject = _of_issuer(name, principal.issuer)
    everybody = [(*_of_issuer(each, issuer), each) for names in terms.approvers for each in names]
    roles = tuple(own for _, own, each in everybody if each.startswith("role:"))
    groups = tuple(own for _, own, each in everybody if each.startswith("group:"))
    return Approver(issuer, subject if name.startswith("user:") else _SOMEBODY, roles, groups)


def _of_issuer(name: str, issuer: str) -> tuple[str, str]:
    """``role:ISSUER#NAME`` → issuer and name."""
    rest = name.partition(":")[2]
    if rest.startswith(("https://", "http://")) and "#" in rest:
        issuer, _, rest = rest.partition("#")
    return issuer, rest
