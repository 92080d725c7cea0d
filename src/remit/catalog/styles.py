"""The styles of a tool file → encodings (rule)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from remit.catalog.binding import Arguments
from remit.catalog.definition import Style
from remit.catalog.plan import Argument, Binding, Encoding
from remit.catalog.problem import Flaws, Path

#: Only ``deepObject``, ``brackets`` and ``json`` take objects: the others would let the model name parameters.
STYLES: Final[Mapping[Style, Encoding]] = {
    "form": Encoding("form", explode=True, takes="list"),
    "comma": Encoding("form", takes="list"),
    "space": Encoding("spaceDelimited", takes="list"),
    "pipe": Encoding("pipeDelimited", takes="list"),
    "deepObject": Encoding("deepObject", explode=True, takes="object"),
    "brackets": Encoding("brackets", explode=True),
    "json": Encoding("json"),
}


def encoding_of(
    binding: Binding, styles: Mapping[str, Style], arguments: Arguments, path: Path, flaws: Flaws
) -> Encoding:
    """The encoding of a field of a query or a form body."""
    if not isinstance(binding, Argument):
        return STYLES["form"]
    style = styles.get(binding.name, "form")
    if arguments.kinds(binding.name) == {"object"} and STYLES[style].takes == "list":
        hint = f"set style: {{{binding.name}: json}}, deepObject or brackets"
        flaws.add(path, f'style {style} cannot carry the object "{binding.name}"', hint)
    return STYLES[style]
