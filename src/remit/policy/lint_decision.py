"""Rule: what a policy answers: its permits, its reasons, its obligations."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from typing import Any, Final

from remit.policy.expressions import COMPUTED, Reference, calls, fields_of, literal, reference, references, resolved
from remit.policy.finding import Finding
from remit.policy.obligations import SUPPORTED, read_obligation
from remit.policy.syntax import Module, aliases, heads, nodes, path, place

#: Rules of these names say yes.
YES: Final = frozenset({"allow", "allowed", "permit", "permitted", "grant", "granted", "authorized"})

_OBLIGATION: Final = {"id", "type", "properties"}
#: For values that are computed: what is written out beside them can be checked all the same.
_SAMPLES: Final[Mapping[str, Any]] = {
    "scopes": ["scope"],
    "seconds": 60,
    "pointers": ["/member"],
    "classes": ["class"],
    "mode": "mask",
    "approvers": ["user"],
    "expires_in": 60,
    "acr_values": ["acr"],
    "max_age": 60,
}
_PRIVATE: Final = (("input", "arguments"), ("input", "result", "data"))
_CLIENT: Final = ("input", "context", "client")
#: What is true of any call, and so says nothing about this one.
_NO_EVIDENCE: Final = (("input", "arguments"), _CLIENT, ("input", "phase"), ("input", "schema"))


# ── obligations ──────────────────────────────────────────────────────────────────────────


def bad_obligations(module: Module) -> Iterator[Finding]:
    """Obligations that are written out and could not be enforced."""
    for written in _obligations(module):
        problem, hint = _problem(written)
        if problem:
            (key,) = written["Object"]["fields"][0][1].values()  # the engine has no sound span of an object
            yield Finding(place(module, key["span"]), "obligation_unknown", "error", problem, hint)


def _obligations(module: Module) -> Iterator[Mapping[str, Any]]:
    """Objects that are obligations by where they stand: in a rule of that name, or in a member of that name."""
    places: list[Any] = []
    for rule, (head, _) in zip(module["ast"]["rules"], heads(module), strict=True):
        (body,) = rule.values()
        named = reference(head)
        if named and "obligation" in (named.steps[-1] or ""):
            places += [body.get("head"), body.get("value"), *(each["assign"] for each in body.get("bodies", ()))]
        places += [fields["obligations"] for node in nodes(rule) if "obligations" in (fields := fields_of(node))]
    seen: set[int] = set()
    for node in nodes(places):
        if id(node) not in seen and _OBLIGATION & fields_of(node).keys() >= {"type"}:
            seen.add(id(node))
            yield node


def _problem(written: Mapping[str, Any]) -> tuple[str, str]:
    """What is wrong, and how to mend it; empty where nothing is, as far as it is written out."""
    fields = fields_of(written)
    if len(written["Object"]["fields"]) != len(fields) or fields.keys() != _OBLIGATION:
        return "an obligation is an object with the members id, type and properties", "leave out every other member"
    kind, properties = literal(fields["type"]), fields_of(fields["properties"])
    if kind is COMPUTED:
        return "", ""
    if kind not in SUPPORTED:
        close = get_close_matches(str(kind), SUPPORTED, n=1)
        known = f"{close[0]} is meant?" if close else f"there are {', '.join(SUPPORTED)}"
        return f"there is no obligation {str(kind)[:50]!r}, so this denies", known
    if "Object" not in fields["properties"]:
        return "", ""
    values = {name: _value(name, expression) for name, expression in properties.items()}
    try:
        read_obligation({"id": "", "type": kind, "properties": values})
    except ValueError as error:
        return f"the obligation cannot be enforced, so this denies: {error}", "see the obligations in docs/policy.md"
    return "", ""


def _value(name: str, expression: Mapping[str, Any]) -> Any:
    value = literal(expression)
    return _SAMPLES.get(name) if value is COMPUTED else value


# ── reasons ──────────────────────────────────────────────────────────────────────────────


def arguments_in_reasons(module: Module) -> Iterator[Finding]:
    """Reasons whose message quotes what must stay private."""
    makers = dict(_makers(module))
    named = aliases(module)
    for rule in module["ast"]["rules"]:
        for message in _messages(rule, makers):
            quoted = next((each for each in _read(rule, message) if _below(resolved(each, named), _PRIVATE)), None)
            if quoted is not None:
                yield Finding(
                    place(module, quoted.span),
                    "argument_in_reason",
                    "warning",
                    "the reason quotes an argument or a result, and reasons are recorded as they stand",
                    "name the limit or the rule instead of the value",
                )


def reasons_for_nobody(own: Sequence[Module], every: Sequence[Module]) -> Iterator[Finding]:
    """Where a policy has reasons, and none of them is for the user."""
    told = (
        fields["audience"]
        for module in every
        for node in nodes(module["ast"]["rules"])
        if "audience" in (fields := fields_of(node))
    )
    if any(literal(audience) != "admin" for audience in told):
        return
    for module in own:
        for node in nodes(module["ast"]["rules"]):
            if {"code", "message"} <= (fields := fields_of(node)).keys():
                (code,) = fields["code"].values()
                yield Finding(
                    place(module, code["span"]),
                    "reason_for_nobody",
                    "info",
                    "no reason is for the user, so every tool that is denied looks like an unknown one",
                    'add `"audience": "user"` to the reasons that the agent may act on',
                )
                return


def _makers(module: Module) -> Iterator[tuple[str, set[int]]]:
    """Functions that make reasons, and which of their arguments go into the message."""
    for rule, (head, is_function) in zip(module["ast"]["rules"], heads(module), strict=True):
        if not is_function or "Spec" not in rule:
            continue
        arguments = [reference(each) for each in rule["Spec"]["head"]["Func"]["args"]]
        used = {each.steps for message in _messages(rule, {}) for each in references(message)}
        positions = {number for number, each in enumerate(arguments) if each is not None and each.steps in used}
        if positions:
            yield path(head), positions


def _messages(rule: Mapping[str, Any], makers: Mapping[str, set[int]]) -> Iterator[Mapping[str, Any]]:
    for node in nodes(rule):
        fields = fields_of(node)
        if {"code", "message"} <= fields.keys():
            yield fields["message"]
    for name, call in calls(rule):
        for number in makers.get(name, ()):
            if number < len(call["params"]):
                yield call["params"][number]


def _read(rule: Mapping[str, Any], message: Mapping[str, Any]) -> Iterator[Reference]:
    """The references of a message, and of what its variables were assigned in the rule."""
    for found in references(message):
        yield found
        for node in nodes(rule) if len(found.steps) == 1 else ():
            assigned = node.get("AssignExpr")
            if isinstance(assigned, dict) and (target := reference(assigned["lhs"])) and target.steps == found.steps:
                yield from references(assigned["rhs"])


# ── permits ──────────────────────────────────────────────────────────────────────────────


def unproven_grants(module: Module) -> Iterator[Finding]:
    """Permits by what an agent says of itself, or by nothing but what it asks for."""
    named = aliases(module)
    rules = {path(head) for head, _ in heads(module)}
    for rule in module["ast"]["rules"]:
        for conditions in _granting(rule):
            found = [(each, resolved(each, named)) for each in references(conditions)]
            client = next((each for each, steps in found if _below(steps, (_CLIENT,))), None)
            asked = next((each for each, steps in found if _below(steps, _PRIVATE[:1])), None)
            if client is not None:
                yield _unproven(module, client, "what the client says of itself")
            elif asked is not None and not any(_is_evidence(steps, rules) for _, steps in found):
                yield _unproven(module, asked, "nothing but the arguments, which the agent chooses,")


def _unproven(module: Module, found: Reference, by: str) -> Finding:
    return Finding(
        place(module, found.span),
        "grant_unproven",
        "warning",
        f"{by} decides here that something is permitted, and proves nothing",
        "permit by input.subject, input.actor and input.token; use the rest to deny",
    )


def _granting(rule: Mapping[str, Any]) -> Iterator[list[Any]]:
    """The conditions of each body of a rule that says yes, those behind ``not`` left out."""
    if "Spec" not in rule or "Compr" not in rule["Spec"]["head"]:
        return
    head = rule["Spec"]["head"]["Compr"]
    for each in rule["Spec"]["bodies"]:
        assigned = each["assign"] or head["assign"]
        if says_yes(head["refr"], assigned["value"] if assigned else None):
            yield [
                statement["literal"] for statement in each["query"]["stmts"] if "NotExpr" not in statement["literal"]
            ]


def says_yes(head: Mapping[str, Any], value: Any) -> bool:
    """Whether a rule of this name and value permits, or may. ``None`` is the value of a rule that has none: true."""
    named, members = reference(head), fields_of(value)
    last = named.steps[-1] if named else None
    if last in YES and (value is None or literal(value) is True):
        return True
    return any(name in members and literal(members[name]) is not False for name in ("allow", "allowed"))


def _is_evidence(steps: tuple[str | None, ...], rules: set[str]) -> bool:
    if steps[0] == "input":
        return not _below(steps, _NO_EVIDENCE)
    return steps[0] == "data" or steps[0] in rules


def _below(steps: tuple[str | None, ...], tops: Sequence[tuple[str, ...]]) -> bool:
    return any(steps[: len(top)] == top for top in tops)
