"""Rule: what a policy may use, checked on its syntax tree before it is ever evaluated.

The embedded engine notices an unknown function only when a rule reaches it, and ignores imports it does not know.
So everything a policy calls must be a function of its own or one of ``BUILTINS``: those that depend on their
arguments alone. Not among them: what reaches out (``http.send``, ``net.lookup_ip_addr``, ``opa.runtime``; also
``json.match_schema`` and ``json.verify_schema``, because an OPA server fetches whatever schema a schema refers to),
what would make a decision impossible to repeat (``time.now_ns``, ``rand.*``, ``uuid.rfc4122``: the time is
``input.time``), what says things elsewhere (``print``, ``trace``), what reads tokens (``io.jwt.*``: they are verified
before policy is asked), what makes much of a small argument (``numbers.range``, ``net.cidr_expand``), and what the
embedded engine and OPA 1.20 answer differently, so that a policy would not decide the same on both (``yaml.unmarshal``,
``urlquery.decode``, ``object.subset``, ``regex.split``, ``bits.*`` and the like).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from remit.policy import adapter
from remit.policy.syntax import Module, aliases, heads, line_of, nodes, package_of, path, place

BUILTINS: Final = frozenset(
    """
    abs array.concat array.reverse array.slice base64.decode base64.encode base64url.decode base64url.encode
    base64url.encode_no_pad ceil concat contains count endswith floor glob.match graph.reachable
    graph.reachable_paths hex.decode hex.encode indexof intersection is_array is_boolean is_null is_number
    is_object is_set is_string json.marshal json.patch json.remove json.unmarshal lower max min
    net.cidr_contains net.cidr_is_valid object.filter object.get object.keys object.remove object.union
    object.union_n product regex.find_all_string_submatch_n regex.find_n regex.is_valid regex.match
    regex.replace replace round semver.compare semver.is_valid sort split sprintf startswith
    strings.any_prefix_match strings.any_suffix_match strings.replace_n strings.reverse substring sum
    time.add_date time.clock time.date time.diff time.format time.parse_duration_ns time.parse_rfc3339_ns
    time.weekday to_number trim trim_left trim_prefix trim_right trim_space trim_suffix type_name union
    units.parse units.parse_bytes upper urlquery.encode urlquery.encode_object walk
    """.split()  # noqa: SIM905  one name a line would hide the module
)
#: What a policy is asked.
PACKAGE: Final = "remit.authz"
RULE: Final = "decision"
ENTRYPOINT: Final = f"data.{PACKAGE}.{RULE}"
#: Where a policy's data lies, so no module may lie there: the engine would let the data win, silently.
DATA_ROOT: Final = "remit_data"

#: No reason code is longer.
_MAX_CODE: Final = 100
_IMPORTS: Final = frozenset(
    {"rego.v1", *(f"future.keywords.{word}" for word in ("contains", "every", "if", "in", "not"))}
)


@dataclass(frozen=True, slots=True)
class Objection:
    """Something a policy may not do. ``where`` is ``file:line:column``."""

    where: str
    message: str


def objections(
    modules: Sequence[Module], *, beside: Sequence[Module] = (), also: frozenset[str] = frozenset()
) -> list[Objection]:
    """Everything the modules use that they may not, in order.

    They may call the functions of the modules ``beside`` them, those built-in ones that ``also`` names, and what the
    adapter for other policies has for them (``remit.policy.adapter``).
    """
    everything = (*modules, *beside)
    own = {name for module in everything for name in _functions(module)}
    builtins = BUILTINS | also | adapter.functions(module["source"]["file"] for module in everything)
    return [objection for module in modules for objection in _Gate(module, own, builtins).objections()]


def entrypoints(modules: Sequence[Module], package: str, rule: str) -> list[str]:
    """Where a rule of ``package`` is, as ``file:line``; more than once where it has several bodies."""
    found = (
        f"{module['source']['file']}:{line}"
        for module in modules
        if package_of(module) == package
        for line, head in _headlines(module)
        if head == rule
    )
    return sorted(found)


def reason_places(modules: Sequence[Module]) -> dict[str, str]:
    """The rule that names each reason: short text → ``file:line`` of the first rule it stands in.

    Every text of a policy is taken, because which of them are reason codes shows only when it decides.
    """
    places: dict[str, str] = {}
    for module in modules:
        for rule in module["ast"]["rules"]:
            where = f"{module['source']['file']}:{line_of(rule)}"
            for text in _short_texts(rule):
                places.setdefault(text, where)
    return places


def _short_texts(rule: Mapping[str, Any]) -> Iterator[str]:
    texts = (node.get("String") for node in nodes(rule))
    values = (text.get("value") for text in texts if isinstance(text, dict))
    return (value for value in values if isinstance(value, str) and len(value) <= _MAX_CODE)


class _Gate:
    """One module's check. ``own`` are the full names of all functions that the policy defines."""

    def __init__(self, module: Module, own: set[str], builtins: frozenset[str]) -> None:
        self._module = module
        self._tree: Mapping[str, Any] = module["ast"]
        self._package = package_of(module)
        self._own = own
        self._builtins = builtins
        self._aliases = aliases(module)

    def objections(self) -> Iterator[Objection]:
        if not self._package:
            yield self._objection(self._tree["package"], "a package is named by words with dots, without brackets")
        if self._package.split(".")[0] == DATA_ROOT:
            yield self._objection(self._tree["package"], f"data.{DATA_ROOT} holds the policy's data, not rules")
        for imported in self._tree["imports"]:
            name = path(imported["refr"])
            if name.split(".")[0] not in ("data", "input") and name not in _IMPORTS:
                yield self._objection(imported, f"there is no import {name or 'like this'}")
        for node in nodes(self._tree["rules"]):
            if isinstance(call := node.get("Call"), dict):
                yield from self._called(call)
            for replaced in node.get("with_mods") or ():
                yield from self._replaced(replaced)

    def _called(self, call: Mapping[str, Any]) -> Iterator[Objection]:
        name = path(call["fcn"])
        if not name:
            yield self._objection(call, "a function is called by a computed name")
        elif self._is_below(name) and self._resolved(name) in self._own:
            full = f"data.{self._resolved(name)}"
            yield self._objection(
                call, f"one engine takes {name} for {full}, another does not: call it by its full name"
            )
        elif name not in self._builtins and self._resolved(name) not in self._own:
            yield self._objection(call, f"the function {name} may not be used or is not known")

    def _replaced(self, replaced: Mapping[str, Any]) -> Iterator[Objection]:
        """``with`` may replace input and data; functions must stay what they are."""
        target = path(replaced["refr"])
        if target.split(".")[0] not in ("input", "data") or self._resolved(target) in self._own:
            yield self._objection(replaced, "with may replace input and data only")

    def _is_below(self, name: str) -> bool:
        """Whether it is named from the own package down, as in ``lib.f``: for OPA that is a built-in function or none."""
        first, dot, _ = name.partition(".")
        return bool(dot) and first != "data" and first not in self._aliases

    def _resolved(self, name: str) -> str:
        """A function's full name: imports resolved, ``data.`` taken off, the own package put before a bare one."""
        first, _, rest = name.partition(".")
        if first in self._aliases:
            name = ".".join(filter(None, (self._aliases[first], rest)))
        if name.startswith("data."):
            return name.removeprefix("data.")
        return f"{self._package}.{name}"

    def _objection(self, node: Mapping[str, Any], message: str) -> Objection:
        return Objection(place(self._module, node["span"]), message)


def _headlines(module: Module) -> Iterator[tuple[int, str]]:
    """Each rule's first line, and its name."""
    for rule, (head, _) in zip(module["ast"]["rules"], heads(module), strict=True):
        yield line_of(rule), path(head)


def _functions(module: Module) -> Iterator[str]:
    package = package_of(module)
    return (f"{package}.{path(head)}" for head, is_function in heads(module) if is_function)
