"""Noun: the kinds of value that settings are made of.

Secrets do not stand in settings: a setting names the file or the environment variable that holds one.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from remit.web import is_secure

_DURATION = re.compile(r"(\d+)(ms|s|m|h|d)")
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}


def _duration(value: Any) -> Any:
    """``90s``, ``5m``, ``1h``, ``30d``, ``250ms`` or a number of seconds → seconds."""
    if isinstance(value, str):
        if not (match := _DURATION.fullmatch(value)):
            raise ValueError("write a duration as a number and a unit, for example 90s, 5m, 1h, 30d or 250ms")
        return int(match[1]) * _SECONDS[match[2]]
    return value


def _secure_url(value: str) -> str:
    if not is_secure(value):
        raise ValueError("use an https URL (http only for this machine), without user name and fragment")
    return value


Seconds = Annotated[float, BeforeValidator(_duration), Field(gt=0, le=86_400)]
WholeSeconds = Annotated[int, BeforeValidator(_duration), Field(gt=0, le=86_400)]
Days = Annotated[int, BeforeValidator(_duration), Field(gt=0, le=366 * 86_400)]
#: Compared byte for byte everywhere (RFC 8414 §3.3), so it stays the text it is.
Url = Annotated[str, AfterValidator(_secure_url)]
Name = Annotated[str, Field(min_length=1, max_length=128, pattern=r"^[A-Za-z0-9._:/@-]+$")]
Scope = Annotated[str, Field(pattern=r"^[\x21\x23-\x5b\x5d-\x7e]+$", max_length=128)]
Algorithm = Literal["ES256", "ES384", "ES512", "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "EdDSA"]


class Section(BaseModel):
    """A part of the settings: frozen, and an unknown key is a mistake."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class SecretRef(Section):
    """Where a secret is: a ``file`` (its whole text, trimmed) or an environment variable (``env``)."""

    file: Path | None = None
    env: str | None = None

    @model_validator(mode="before")
    @classmethod
    def _no_literal(cls, value: Any) -> Any:
        if isinstance(value, str):
            raise ValueError("a secret never stands here itself: write {file: PATH} or {env: NAME}")  # noqa: TRY004
        return value

    @model_validator(mode="after")
    def _exactly_one(self) -> Self:
        if (self.file is None) == (self.env is None):
            raise ValueError("name exactly one of file and env")
        return self
