"""``${ENV}`` and ``${ENV:-default}`` in ``baseUrl`` and ``auth`` (rule). Nowhere else, and never a secret."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from remit.catalog.problem import Flaws, Path

_REFERENCE: Final = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)(?::-([^{}]*))?\}")


def expand(data: Any, environment: Mapping[str, str], flaws: Flaws) -> Any:
    """A copy of a tool file's data with the references filled in. The rest of the data is shared, not copied."""
    if not isinstance(data, dict):
        return data
    expanded = dict(data)
    upstream = expanded.get("upstream")
    if isinstance(upstream, dict):
        expanded["upstream"] = upstream = dict(upstream)
        for name in ("baseUrl", "auth"):
            if name in upstream:
                upstream[name] = _fill(upstream[name], ("upstream", name), environment, flaws)
    tools = expanded.get("tools")
    if isinstance(tools, list):
        expanded["tools"] = [_tool(tool, ("tools", index), environment, flaws) for index, tool in enumerate(tools)]
    return expanded


def _tool(tool: Any, path: Path, environment: Mapping[str, str], flaws: Flaws) -> Any:
    if not isinstance(tool, dict) or "auth" not in tool:
        return tool
    return {**tool, "auth": _fill(tool["auth"], (*path, "auth"), environment, flaws)}


def _fill(value: Any, path: Path, environment: Mapping[str, str], flaws: Flaws) -> Any:
    if isinstance(value, dict):
        return {key: _fill(item, (*path, key), environment, flaws) for key, item in value.items()}
    if isinstance(value, list):
        return [_fill(item, (*path, index), environment, flaws) for index, item in enumerate(value)]
    if not isinstance(value, str) or "${" not in value:
        return value

    def replacement(match: re.Match[str]) -> str:
        name, default = match[1], match[2]
        found = environment.get(name, "") or default
        if found is None:
            flaws.add(path, f"the environment has no {name}", f"set {name}, or write ${{{name}:-default}}")
            return "unset"
        return found

    if "${" in _REFERENCE.sub("", value):
        flaws.add(path, "a reference to the environment is not complete", "write ${NAME} or ${NAME:-default}")
    return _REFERENCE.sub(replacement, value)
