"""Rule: policies of ``package orchestrator`` beside the module that adapts them (``library/orchestrator.rego``).

They take the caller's token out of a header and read it with ``io.jwt.decode``. No token is ever given to policy, so
the adapter makes one for them, in Rego, of what was verified: without a signature (``alg: none``), and of use nowhere.
``decode`` reads such a token and no other.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

#: The package of these policies.
PACKAGE: Final = ("orchestrator",)
#: The modules that adapt, by the names they have in a bundle.
ADAPTER: Final = "remit/orchestrator.rego"
GOVERNED: Final = "remit/governed.rego"
#: What these policies call besides what every policy may.
FUNCTION: Final = "io.jwt.decode"

_HEADER: Final = {"alg": "none", "typ": "JWT"}
_TOOLS: Final = re.compile(r"\bmcp\b")
_TOKENS: Final = re.compile(r"\boauth\b")


def functions(names: Iterable[str]) -> frozenset[str]:
    """The built-in functions that the policy with these modules has besides the usual ones: of use to the adapter."""
    return frozenset({FUNCTION}) if ADAPTER in names else frozenset()


def governed(modules: Mapping[str, str]) -> str:
    """The module ``GOVERNED``: what a policy is about, told by whether it mentions ``mcp`` and ``oauth`` at all.

    The same package serves two places, calls and tokens. A policy that never reads what it is told of tokens was not
    written for that place, and must not be asked there: it would deny every token, or allow it, by accident.
    """
    tokens = any(_TOKENS.search(source) for source in modules.values())
    tools = not tokens or any(_TOOLS.search(source) for source in modules.values())
    return f"package remit.governed\n\ntools := {_rego(tools)}\n\ntokens := {_rego(tokens)}\n"


def decode(token: Any) -> list[Any]:
    """``[header, claims, ""]`` of a token that the adapter made. Raises ``ValueError`` for any other."""
    parts = token.split(".") if isinstance(token, str) else ()
    if len(parts) != 3 or parts[2]:
        raise ValueError("this is not the token that the adapter made")
    header, claims = (json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))) for part in parts[:2])
    if header != _HEADER or not isinstance(claims, dict):
        raise ValueError("this is not the token that the adapter made")
    return [header, claims, ""]


def _rego(value: bool) -> str:  # noqa: FBT001  a word of another language
    return "true" if value else "false"
