"""Rule: what a person is asked before a client gets anything, and what may come of it."""

from __future__ import annotations

import unicodedata
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from remit.authorization.client import SignInClient, Source
from remit.authorization.person import Person
from remit.authorization.request import MAX_SCOPES
from remit.sts.form import Form, single
from remit.web import is_loopback

#: In front of a scope's name, the name of its checkbox.
_BOX: Final = "scope "
_MAX_NAME: Final = 80
_MAX_TOOLS: Final = 40


@dataclass(frozen=True, slots=True)
class Ability:
    """A tool that ``scope`` opens: its title, and whether it changes anything. ``scope`` ``""``: none is needed."""

    scope: str
    title: str
    writes: bool


#: Which tools a person could have a client use, with these scopes: ``(person, client id, scopes)``.
Abilities = Callable[[Person, str, tuple[str, ...]], Awaitable[Sequence[Ability]]]


@dataclass(frozen=True, slots=True)
class Question:
    """One scope, as the person is asked for it."""

    scope: str
    words: str
    box: str
    tools: tuple[str, ...]
    more: int
    writes: bool


@dataclass(frozen=True, slots=True)
class Face:
    """Who a client is, as far as anybody knows. Texts are clean.

    ``vouched``: who stands for the name; ``home``: the host its id is from; ``destination``: where the answer goes;
    ``local``: that is a program on the person's own computer.
    """

    name: str
    vouched: Source
    home: str
    destination: str
    local: bool


def clean(text: str, most: int = _MAX_NAME) -> str:
    """``text`` on one line, without characters that are not seen or that turn others round, and not too long."""
    kept = "".join(" " if unicodedata.category(each)[0] in "CZ" else each for each in text[: 8 * most])
    line = " ".join(kept.split())
    return line if len(line) <= most else f"{line[: most - 1]}…"


def face_of(client: SignInClient, redirect_uri: str = "") -> Face:
    """How ``client`` is shown. Its own word for itself is marked as that."""
    home = urlsplit(client.client_id).hostname or "" if client.source is Source.METADATA_DOCUMENT else ""
    return Face(
        name=clean(client.name) or clean(client.client_id),
        vouched=client.source,
        home=clean(home, 255),
        destination=clean(_destination(redirect_uri), 255),
        local=bool(redirect_uri) and (is_loopback(redirect_uri) or not redirect_uri.startswith("https:")),
    )


def _destination(redirect_uri: str) -> str:
    parts = urlsplit(redirect_uri)
    if parts.scheme in {"http", "https"}:
        return parts.hostname or ""
    return f"{parts.scheme}:" if parts.scheme else ""


def may_be_given(
    requested: Sequence[str], person: Person, client: SignInClient, default: Sequence[str] = ()
) -> tuple[str, ...]:
    """The scopes to ask for, in order: of what is ``requested`` (or else ``default``, or else all that the person
    has), those that the person has and the client may have. At most ``MAX_SCOPES``.
    """
    wanted = requested or default or person.scopes
    given = [each for each in wanted if each in person.scopes and (not client.scopes or each in client.scopes)]
    return tuple(dict.fromkeys(given))[:MAX_SCOPES]


def questions(scopes: Sequence[str], words: Mapping[str, str], abilities: Sequence[Ability]) -> tuple[Question, ...]:
    """One for each scope, with the tools it opens."""
    return tuple(_question(scope, words.get(scope, ""), abilities) for scope in scopes)


def _question(scope: str, words: str, abilities: Sequence[Ability]) -> Question:
    opened = [each for each in abilities if each.scope == scope]
    titles = tuple(dict.fromkeys(clean(each.title) for each in opened))
    return Question(
        scope=clean(scope, 128),
        words=clean(words, 200),
        box=_BOX + scope,
        tools=titles[:_MAX_TOOLS],
        more=max(0, len(titles) - _MAX_TOOLS),
        writes=any(each.writes for each in opened),
    )


def chosen(form: Form, offered: Sequence[str]) -> tuple[str, ...]:
    """Those of the ``offered`` scopes whose boxes are checked: whatever else a form names is not given."""
    return tuple(scope for scope in offered if single(form, _BOX + scope))
