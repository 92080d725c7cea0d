"""Rule: what is wrong or dangerous in a policy, seen on its syntax tree without evaluating it.

What may not be used at all is the gate's to refuse (``remit.policy.gate``). Modules of the product's own, those below
``remit/``, are not looked at.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

from remit.policy import adapter
from remit.policy.expressions import calls, fields_of, literal, references
from remit.policy.finding import Finding
from remit.policy.lint_decision import (
    arguments_in_reasons,
    bad_obligations,
    reasons_for_nobody,
    says_yes,
    unproven_grants,
)
from remit.policy.lint_input import unknown_members
from remit.policy.syntax import Module, heads, nodes, package_of, path, place

_SCOPES: Final = frozenset({"scope", "scopes", "scp"})
_SUBSTRING: Final = frozenset(
    """
    contains endswith indexof indexof_n regex.find_all_string_submatch_n regex.find_n regex.match startswith
    strings.any_prefix_match strings.any_suffix_match strings.count
    """.split()  # noqa: SIM905  as in the gate
)
_CREDENTIALS: Final = frozenset(
    """
    access_token actor_token api_key apikey authorization bearer client_secret cookie id_token jwt password
    refresh_token secret subject_token token x-api-key
    """.split()  # noqa: SIM905  as above
)
_OURS: Final = ("remit.standard", "remit.governed")


def lint(modules: Sequence[Module]) -> list[Finding]:
    """What was found in the modules that are the author's own, by place."""
    own = [module for module in modules if not module["source"]["file"].startswith("remit/")]
    found = [finding for module in own for check in _CHECKS for finding in check(module)]
    found += reasons_for_nobody(own, modules)
    return sorted(set(found), key=lambda finding: (*finding.place, finding.code))


# ── imports and packages ─────────────────────────────────────────────────────────────────


def _imports(module: Module) -> Iterator[Finding]:
    imported = {path(each["refr"]) for each in module["ast"]["imports"]}
    if "rego.v1" not in imported:
        yield Finding(
            place(module, module["ast"]["package"]["span"]),
            "v1_missing",
            "warning",
            "the module does not say which Rego it is written in",
            "write `import rego.v1` below the package, so that every OPA reads it alike",
        )
    negation = next((node["NotExpr"] for node in nodes(module["ast"]["rules"]) if "NotExpr" in node), None)
    if negation is not None and "future.keywords.not" not in imported:
        yield Finding(
            place(module, negation["span"]),
            "not_missing",
            "warning",
            "`not` of an expression that is undefined may be undefined itself, so that the rule never holds",
            "write `import future.keywords.not` below the package",
        )


def _reserved(module: Module) -> Iterator[Finding]:
    for rule, (head, _) in zip(module["ast"]["rules"], heads(module), strict=True):
        full = f"{package_of(module)}.{path(head)}."
        if full.startswith(tuple(f"{name}." for name in _OURS)):
            (body,) = rule.values()
            yield Finding(
                place(module, body["span"]),
                "package_reserved",
                "error",
                "the rule adds to a package that is the product's own",
                "add to `deny` and `obligations` of `package remit.rules`",
            )
            return


# ── allowing by default ──────────────────────────────────────────────────────────────────


def _default_allow(module: Module) -> Iterator[Finding]:
    for rule in module["ast"]["rules"]:
        (kind, body), *_ = rule.items()
        found = [(body["refr"], body["value"])] if kind == "Default" else list(_unconditional(body))
        if any(_permits(name, value) for name, value in found):
            yield Finding(
                place(module, body["span"]),
                "default_allow",
                "error",
                "this permits whatever no other rule speaks of",
                "deny by default, and permit by rules that say under which conditions",
            )


def _unconditional(body: Mapping[str, Any]) -> Iterator[tuple[Mapping[str, Any], Any]]:
    """Name and value of a rule that holds without a condition, or of its last ``else``."""
    (kind, head), *_ = body["head"].items()
    if kind != "Compr":
        return
    if not body["bodies"] and head["assign"]:
        yield head["refr"], head["assign"]["value"]
    for each in body["bodies"]:
        if all(
            literal(statement["literal"].get("Expr", {}).get("expr")) is True for statement in each["query"]["stmts"]
        ):
            assigned = each["assign"] or (None if each["is_else"] else head["assign"])
            yield head["refr"], assigned["value"] if assigned else None


def _permits(name: Mapping[str, Any], value: Any) -> bool:
    """Whether it permits as it stands: an ``allow`` that is computed is conditional."""
    if not says_yes(name, value):
        return False
    members = fields_of(value)
    return not members or any(literal(members.get(member)) is True for member in ("allow", "allowed"))


# ── what is compared ─────────────────────────────────────────────────────────────────────


def _scope_substrings(module: Module) -> Iterator[Finding]:
    for name, call in calls(module["ast"]["rules"]):
        if name not in _SUBSTRING:
            continue
        about = [each.steps for each in references(call["params"]) if _last(each.steps) in _SCOPES]
        if about:
            yield Finding(
                place(module, call["span"]),
                "scope_substring",
                "error" if any(len(steps) > 1 for steps in about) else "warning",
                f"{name} finds a scope also inside of another, longer one",
                'compare whole scopes: `"orders:read" in input.token.scopes`, or `split(scope, " ")` of a text',
            )


def _credentials(module: Module) -> Iterator[Finding]:
    for node in nodes(module["ast"]["rules"]):
        for compared in _compared(node):
            if any(_is_credential(each.steps) for each in references(compared)):
                (whole,) = node.values()
                yield Finding(
                    place(module, whole["span"]),
                    "credential_compared",
                    "warning",
                    "a header or a token is compared, which proves nothing: policy is given neither",
                    "decide by input.subject, input.actor and input.token, which were verified",
                )
                break


def _compared(node: Mapping[str, Any]) -> Iterator[Any]:
    """What a node compares with something else."""
    match node:
        case {"BoolExpr": {"lhs": left, "rhs": right}} | {"AssignExpr": {"op": "Eq", "lhs": left, "rhs": right}}:
            yield from (left, right)
        case {"Membership": {"value": value}}:
            yield value
        case {"Call": {"fcn": function, "params": list(params)}} if path(function) in _SUBSTRING:
            yield from params


def _is_credential(steps: tuple[str | None, ...]) -> bool:
    said = [step.lower() for step in steps if step]
    return "headers" in said[1:] or said[-1] in _CREDENTIALS


def _last(steps: tuple[str | None, ...]) -> str | None:
    return next((step for step in reversed(steps) if step), None)


def _members(module: Module) -> Iterator[Finding]:
    """Policies of the adapter's package have another input document."""
    if package_of(module).split(".")[0] not in adapter.PACKAGE:
        yield from unknown_members(module)


_CHECKS: Final[tuple[Callable[[Module], Iterator[Finding]], ...]] = (
    _imports,
    _reserved,
    _default_allow,
    _scope_substrings,
    _credentials,
    _members,
    bad_obligations,
    arguments_in_reasons,
    unproven_grants,
)
