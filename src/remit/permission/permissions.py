"""Path: may they. Policy is asked at each of its decision points, and whoever it wants to be asked besides.

For a call: **decide**; where the permit demands an approval, **ask** for it, and **decide again** once it is given;
check how the user **signed in**. What comes out is a ``Permission``: what policy demands of everything that follows.
Then, once each: **narrow** what will be asked of the token service, **use** the approval up, and decide about the
**answer** before it leaves.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from remit.audit.trail import Record
from remit.call import NOBODY, ToolCall, Watch
from remit.catalog.tool import Catalog, Tool
from remit.downstream.refusal import quotes
from remit.downstream.result import ToolResult
from remit.errors import PolicyFailed, ResultWithheld, ToolHidden
from remit.exchange.messages import Wanted
from remit.permission.approving import approval_of, binding_of, fits, state_of, terms_of
from remit.permission.fitness import check_actor, check_held, check_sign_in, late_demands, wanted_by, with_floor
from remit.permission.hiding import concerning, hidden
from remit.permission.panel import NOTHING, Asked, Panel, Permission
from remit.permission.visibility import Visibility
from remit.policy.decision import Decision, Deny
from remit.policy.input import ExchangeTarget, Phase, Question, ResultFacts
from remit.policy.obligations import OF_A_ROUTE, OF_AN_EXCHANGE, SUPPORTED, Demands
from remit.principal import ActingParty, Caller, Principal


class Permissions:
    """Asks the panel on behalf of the bridge. Raises leaves of ``AuthorizationError``, and ``ToolHidden``."""

    def __init__(self, panel: Panel) -> None:
        self._panel = panel
        self._visibility = Visibility(panel)

    # ── list ─────────────────────────────────────────────────────────────────────────────

    async def shown(self, door: str, principal: Principal, acting: ActingParty, catalog: Catalog) -> tuple[Tool, ...]:
        """The tools that policy shows to this caller, by name. It may have been asked up to a minute ago."""
        return await self._visibility.shown(door, principal, acting, catalog)

    async def check_shown(self, asked: Asked) -> None:
        """What is wrong with a call's arguments would tell a hidden tool from an unknown one.

        Raises ``ToolHidden``; ``PolicyFailed`` where policy cannot say.
        """
        listed = await self._listed(asked)
        if isinstance(listed, Deny) and not listed.failed:
            raise ToolHidden("there is no such tool") from None
        listed.require_permit()

    async def check_unknown(self, call: ToolCall, caller: Caller, acting: ActingParty) -> None:
        """While policy cannot say of a tool whether it is hidden, an unknown one has to look the same.

        Raises ``PolicyFailed``.
        """
        listed = await self._listed(Asked(call, caller, acting, NOTHING))
        if isinstance(listed, Deny) and listed.failed:
            listed.require_permit()

    # ── call ─────────────────────────────────────────────────────────────────────────────

    async def permit(self, asked: Asked, record: Record, watch: Watch) -> Permission:
        """May this call be made, and under which demands."""
        question = await self._question(asked)
        demands = with_floor(await self._decided(asked, question, record, watch), asked.operation)
        permission = Permission(demands, self._wanted(asked, demands), question)
        if not demands.approvals:
            return permission
        return await self._approved(asked, permission, record, watch)

    async def permit_within(self, asked: Asked, outer: Permission, record: Record) -> Permission:
        """May this call be made by the code of a tool whose own call was permitted by ``outer``.

        The approval of that call covers it, as far as policy takes it for enough: nobody is asked in between, when a
        part of the work is done. Its token gets no longer a life.
        """
        question = await self._question(asked)
        if outer.approval is not None:
            question = replace(question, approval=state_of(outer.approval))
        demands = with_floor(await self._decided(asked, question, record, NOBODY), asked.operation)
        approval, binding = outer.approval, outer.binding
        approved = approval is not None and binding is not None and fits(terms_of(demands.approvals), approval, binding)
        if demands.approvals and not approved:
            raise PolicyFailed(
                "policy demands an approval of this call, which only the tool's own call can have",
                detail=f"{asked.operation.name} demands what {outer.question.tool.name} was not called under",
                hint="let policy demand the approval of the tool whose code makes the call",
            )
        wanted = self._wanted(asked, demands)
        wanted = replace(wanted, max_lifetime=min(wanted.max_lifetime, outer.wanted.max_lifetime))
        return Permission(demands, wanted, question, approval, binding)

    async def foresee(self, asked: Asked, watch: Watch) -> Wanted:
        """What would be asked of the token service for this call, if it is permitted. Raises as ``permit`` does.

        Nobody is asked for the approval that policy may demand, and nothing is recorded: the watch is told.
        """
        decision = await self._panel.policy.decide(await self._document(asked, await self._question(asked)))
        watch.decided(decision)
        if isinstance(decision, Deny):
            await self._check_not_hidden(asked, decision)
        demands = Demands.of(decision.require_permit().obligations)
        return self._wanted(asked, with_floor(demands, asked.operation))

    async def settle(self, asked: Asked, permission: Permission, record: Record) -> None:
        """Use the approval up, and remember the pair: the last thing before the intent.

        A call that code makes rests on the approval of its tool's call, which has used it up.
        """
        if asked.call.parent is not None:
            return
        if permission.approval is not None and permission.binding is not None:
            record.approved(await self._panel.approvals.use(permission.approval.id, permission.binding))
        await self._panel.pairs.met(asked.principal, asked.acting)

    async def _decided(self, asked: Asked, question: Question, record: Record, watch: Watch) -> Demands:
        document = await self._document(asked, question)
        decision = await self._panel.policy.decide(document)
        record.decided(decision, self._panel.keep(document, decision.input_digest))
        watch.decided(decision)
        if self._panel.shadow is not None:
            self._panel.shadow.compare(record.id, document, decision)
        if isinstance(decision, Deny):
            await self._check_not_hidden(asked, decision)
        return Demands.of(decision.require_permit().obligations)

    async def _document(self, asked: Asked, question: Question) -> dict[str, Any]:
        try:
            return question.document()
        except PolicyFailed:  # arguments that policy cannot be asked about
            await self.check_shown(asked)
            raise

    async def _check_not_hidden(self, asked: Asked, decision: Deny) -> None:
        """A denial with nothing to tell the caller answers as an unknown tool.

        So does one that failed, where the tool is hidden anyway: a policy that fails on some arguments would show it.
        Where it cannot say whether the tool is hidden either, everybody is told that it fails.
        """
        if not decision.failed and not decision.user_reasons:
            raise ToolHidden("there is no such tool", detail=decision.rule)
        if decision.failed:
            listed = await self._listed(asked)
            if isinstance(listed, Deny) and not listed.failed:
                raise ToolHidden("there is no such tool")

    # ── approval ─────────────────────────────────────────────────────────────────────────

    async def _approved(self, asked: Asked, permission: Permission, record: Record, watch: Watch) -> Permission:
        """The permission once somebody has approved the call; asks them where nobody has."""
        binding, terms = binding_of(permission.question), terms_of(permission.demands.approvals)
        approval = await approval_of(asked, binding, terms, self._panel.approvals, record)
        question = replace(permission.question, approval=state_of(approval), now=self._panel.clock.now())
        demands = await self._decided(asked, question, record, watch)
        # A policy that goes on demanding approval is content with one that fits its demand.
        if not fits(terms_of(demands.approvals), approval, binding):
            raise PolicyFailed(
                "policy demands another approval than the one that was given",
                detail=f"approval {approval.id} by {approval.approver.subject if approval.approver else 'nobody'}",
                hint="let the policy demand one approval, or none once input.context.approval.state is approved",
            )
        demands = with_floor(demands, asked.operation)  # what it demands of approvals was met by this one
        return Permission(demands, self._wanted(asked, demands), question, approval, binding)

    def _wanted(self, asked: Asked, demands: Demands) -> Wanted:
        """What the token service will be asked for. Raises where user or agent is not fit for the call.

        Checked before anybody is asked to approve it: a yes to a call that cannot be made would be wasted.
        """
        check_sign_in(asked.principal, demands.step_ups, self._panel.clock.now())
        check_actor(asked.acting, asked.operation)
        if asked.operation.auth.type == "none":  # no token is asked for, so there are no scopes to narrow
            demands = replace(demands, scopes=None)
        wanted = demands.narrowed(wanted_by(asked.operation))
        if self._panel.scopes_within_subject and asked.operation.auth.type == "token-exchange":
            check_held(asked.principal, wanted)
        return wanted

    # ── exchange and answer ──────────────────────────────────────────────────────────────

    async def narrow(self, asked: Asked, wanted: Wanted, record: Record) -> Wanted:
        """What may be asked of a token service that does not ask policy itself."""
        auth = replace(
            asked.operation.auth,
            audience=wanted.target.audience,
            resource=wanted.target.resource,
            scopes=wanted.scopes,
            max_lifetime=wanted.max_lifetime,
        )
        question = Question(
            Phase.TOKEN_EXCHANGE,
            asked.principal,
            asked.acting,
            ExchangeTarget(auth),
            self._panel.clock.now(),
            door=asked.call.door,
            request_id=asked.call.request_id,
            supported=OF_AN_EXCHANGE,
        )
        decision = await self._panel.policy.decide(question.document())
        record.decided_exchange(decision)
        return Demands.of(decision.require_permit().obligations).narrowed(wanted)

    async def release(
        self, permission: Permission, tool: Tool, status: int, result: ToolResult, record: Record
    ) -> ToolResult:
        """The answer as far as policy lets it out. Raises ``ResultWithheld`` for one that it does not."""
        facts = ResultFacts(status, result.size, result.truncated, result.unwrapped)
        question = replace(permission.question, phase=Phase.RESULT, result=facts, now=self._panel.clock.now())
        demands = await self._released(question, permission, record)
        redactions = (*permission.demands.redactions, *demands.redactions)
        return hidden(tool, result, redactions, self._panel.redaction_key)

    async def may_quote(self, permission: Permission, tool: Tool, status: int, record: Record) -> bool:
        """Whether the error for this status may hold those values of the API's answer that the tool file names.

        No pointer leads to them, so not where anything at all of an answer is to be hidden.
        """
        if not quotes(tool, status):
            return True
        if concerning(tool, permission.demands.redactions):
            return False
        question = replace(
            permission.question, phase=Phase.RESULT, result=ResultFacts(status), now=self._panel.clock.now()
        )
        try:
            return not concerning(tool, (await self._released(question, permission, record)).redactions)
        except ResultWithheld:
            return False

    async def _released(self, question: Question, permission: Permission, record: Record) -> Demands:
        try:
            document = question.document()
        except PolicyFailed as error:  # the API acted: nobody must be told that nothing was called
            raise _withheld("policy cannot be asked about it", error.detail, error.hint) from error
        decision = await self._panel.policy.decide(document)
        record.decided_result(decision)
        if self._panel.shadow is not None:
            self._panel.shadow.compare(record.id, document, decision)
        if isinstance(decision, Deny):
            why = "; ".join(reason.message for reason in decision.user_reasons) or "policy withholds it"
            raise _withheld(why, decision.detail or decision.rule)
        demands = Demands.of(decision.obligations)
        if late := late_demands(demands, permission):
            hint = "let the policy demand it of the call, in the phase tool_call"
            raise _withheld("policy demands what the call was not made under", " ".join(late), hint)
        return demands

    async def _listed(self, asked: Asked) -> Decision:
        question = replace(await self._question(asked), phase=Phase.TOOL_LIST, arguments={}, request_id="", client="")
        return await self._panel.policy.decide(question.document())

    async def _question(self, asked: Asked) -> Question:
        call = asked.call
        return Question(
            Phase.TOOL_CALL,
            asked.principal,
            asked.acting,
            asked.operation,
            self._panel.clock.now(),
            arguments=call.arguments,
            door=call.door,
            request_id=call.request_id,
            client=call.client,
            parent=call.parent.tool if call.parent else "",
            first_time=await self._panel.pairs.is_first(asked.principal, asked.acting),
            supported=OF_A_ROUTE if asked.operation.kind == "route" else SUPPORTED,
        )


def _withheld(why: str, detail: str, hint: str = "") -> ResultWithheld:
    return ResultWithheld(f"the API acted, but its answer is withheld: {why}", detail=detail, hint=hint)
