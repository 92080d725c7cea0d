"""The approval block: who has to approve each call of a tool, whatever policy says (noun and rule)."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

from remit.catalog.definition import ApprovalBlock, amount
from remit.catalog.plan import Argument
from remit.catalog.problem import Flaws, Path

_THE_USER: Final = "user"
_SECONDS: Final = range(10, 86_401)
_PLACEHOLDER: Final = re.compile(r"\{([A-Za-z0-9_.-]{1,64})\}")


@dataclass(frozen=True, slots=True)
class ToolApproval:
    """Somebody has to approve each call: policy may ask for more, and never for less.

    ``approvers`` are alternatives, written as policy writes them; ``seconds`` is how long that is waited for and then
    holds; ``message`` is what they are told above the arguments, with places for values.
    """

    approvers: tuple[str, ...]
    seconds: int
    message: tuple[str | Argument, ...] = ()

    @property
    def by_user(self) -> bool:
        """Whether the user's own word is enough."""
        return self.approvers == (_THE_USER,)


def compile_approval(block: ApprovalBlock, arguments: Collection[str], path: Path, flaws: Flaws) -> ToolApproval | None:
    """The approval, or ``None`` where the file demands none. Of use only when nothing was added to ``flaws``."""
    if block.mode == "none":
        for name in sorted(block.model_fields_set - {"mode"}):
            flaws.add(
                (*path, name), f"{name} means nothing without an approval", "set mode, or leave it out", at_key=True
            )
        return None
    if block.mode == "out-of-band" and not block.approvers:
        flaws.add(path, "nobody may approve it", "name approvers: [role:NAME], group:NAME or user:NAME")
    if block.mode == "user" and block.approvers:
        message = "with mode user nobody else is asked"
        flaws.add((*path, "approvers"), message, "write mode: out-of-band, or leave approvers out", at_key=True)
    seconds = amount(block.ttl)
    if seconds % 1 or int(seconds) not in _SECONDS:
        flaws.add((*path, "ttl"), f"ttl {block.ttl} is not between 10s and 24h in whole seconds")
    approvers = (_THE_USER,) if block.mode == "user" else tuple(block.approvers)
    return ToolApproval(approvers, int(seconds), _message(block.message, arguments, (*path, "message"), flaws))


def _message(text: str, arguments: Collection[str], path: Path, flaws: Flaws) -> tuple[str | Argument, ...]:
    """The text in parts: literals, and arguments in braces."""
    if not text.isprintable():
        flaws.add(path, "the message has characters that cannot be seen", "take them out")
    parts: list[str | Argument] = []
    position = 0
    for match in _PLACEHOLDER.finditer(text):
        if match[1] not in arguments:
            flaws.add(path, f"{{{match[1]}}} is no argument of the tool", "name one of its arguments")
        parts += [_literal(text[position : match.start()], path, flaws), Argument(match[1])]
        position = match.end()
    parts.append(_literal(text[position:], path, flaws))
    return tuple(part for part in parts if part)


def _literal(text: str, path: Path, flaws: Flaws) -> str:
    if "{" in text or "}" in text:
        flaws.add(path, "a brace that begins no placeholder", "write {argument}")
    return text
