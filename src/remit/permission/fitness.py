"""Rule: whether user and agent are fit for a call that policy permits: how they signed in, and what their token holds.

And, once the call was made, whether it was made as policy demands.
"""

from __future__ import annotations

from dataclasses import replace

from remit.catalog.tool import Tool
from remit.errors import ActorUnfit, ScopeInsufficient, StepUpRequired
from remit.exchange.messages import Target, Wanted
from remit.permission.approving import fits, terms_of
from remit.permission.panel import Permission
from remit.policy.input import Operation
from remit.policy.obligations import (
    LIMIT_LIFETIME,
    NARROW_SCOPES,
    REQUIRE_APPROVAL,
    STEP_UP,
    ApprovalTerms,
    Demands,
    StepUp,
)
from remit.principal import ActingParty, Assurance, Principal


def wanted_by(operation: Operation) -> Wanted:
    """What an operation asks of the token service, before policy narrows it."""
    auth = operation.auth
    return Wanted(Target(audience=auth.audience, resource=auth.resource), auth.scopes, auth.max_lifetime)


def with_floor(demands: Demands, operation: Operation) -> Demands:
    """What policy demands, and what the tool file demands whatever policy says.

    The user's own word is the least of approvals: where policy demands any, that is it, within the shorter time.
    """
    if operation.auth.step_up:
        demands = replace(demands, step_ups=(*demands.step_ups, StepUp((operation.auth.step_up,))))
    floor = operation.approval if isinstance(operation, Tool) else None
    if floor is None:
        return demands
    if floor.by_user and demands.approvals:
        within = (replace(each, expires_in=min(each.expires_in, floor.seconds)) for each in demands.approvals)
        return replace(demands, approvals=tuple(within))
    return replace(demands, approvals=(*demands.approvals, ApprovalTerms(floor.approvers, floor.seconds)))


def check_actor(acting: ActingParty, operation: Operation) -> None:
    """Whether an agent runner must, or must not, take part: a name that nobody vouches for counts as none.

    Where this installation passes the call on, it vouches with its own name. Raises ``ActorUnfit``.
    """
    vouched = acting.via is not None or acting.assurance is not Assurance.SELF_ASSERTED
    if operation.auth.actor == "required" and not vouched:
        raise ActorUnfit(
            "this call needs an agent runner that somebody vouches for",
            detail=f"{acting.actor.sub} is {acting.assurance.value}",
            hint="give the agent its own credentials, or have the issuer put `act` or `client_id` into the token",
        )
    if operation.auth.actor == "forbidden" and vouched:
        raise ActorUnfit("this call is not for agents", detail=f"{acting.actor.sub} acts ({acting.evidence})")


def check_held(principal: Principal, wanted: Wanted) -> None:
    """A scope that the caller's token lacks would be refused by the token service: said here, with its name.

    Raises ``ScopeInsufficient``.
    """
    missing = [scope for scope in wanted.scopes if scope not in principal.scopes]
    if missing:
        raise ScopeInsufficient(
            f"the user's token lacks the scope {' '.join(missing)}",
            scope=" ".join(wanted.scopes),
            hint="have the user sign in again with this scope",
        )


def check_sign_in(principal: Principal, step_ups: tuple[StepUp, ...], now: float) -> None:
    """Whether the user signed in as policy wants. Raises ``StepUpRequired`` or ``ScopeInsufficient``."""
    unmet = [step_up for step_up in step_ups if not step_up.is_met(principal, now)]
    if not unmet:
        return
    scopes = " ".join(dict.fromkeys(scope for each in unmet for scope in each.scopes))
    acr_values = tuple(dict.fromkeys(value for each in unmet for value in each.acr_values))
    max_age = min((each.max_age for each in unmet if each.max_age), default=0)
    if acr_values or max_age:
        raise StepUpRequired(
            "the user has to sign in again for this call, in the way it needs",
            acr_values=acr_values,
            max_age=max_age,
            scope=scopes,
        )
    raise ScopeInsufficient(f"policy wants the scope {scopes} in the user's token for this call", scope=scopes)


def late_demands(demands: Demands, permission: Permission) -> list[str]:
    """Those that come with the answer, and that the call was not made under: they can be met no more."""
    wanted, asked = permission.wanted, permission.question
    approval, binding = permission.approval, permission.binding
    approved = approval is not None and binding is not None and fits(terms_of(demands.approvals), approval, binding)
    no_token = asked.tool.auth.type == "none"
    narrow = bool(wanted.scopes) and demands.scopes is not None and demands.scopes.issuperset(wanted.scopes)
    met = {
        NARROW_SCOPES: demands.scopes is None or no_token or narrow,
        LIMIT_LIFETIME: demands.lifetime is None or wanted.max_lifetime <= demands.lifetime,
        STEP_UP: all(step_up.is_met(asked.principal, asked.now) for step_up in demands.step_ups),
        REQUIRE_APPROVAL: not demands.approvals or approved,
    }
    return [kind for kind, is_met in met.items() if not is_met]
