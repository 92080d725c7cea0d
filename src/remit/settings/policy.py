"""Noun: the settings of policy: where it is, what evaluates it, whose signature it needs, what is kept of its input."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from remit.settings.fields import Algorithm, Name, Seconds, SecretRef, Section, Url


class OpaSettings(Section):
    """An OPA server, by ``url`` or by the unix ``socket`` it listens on; ``token`` is sent as a bearer.

    ``decision`` is the path of the decision below ``/v1/data``. ``timeout`` bounds a decision, retry included.
    """

    url: Url | None = None
    socket: Path | None = None
    token: SecretRef | None = None
    decision: Annotated[str, Field(pattern=r"^[A-Za-z0-9_]+(/[A-Za-z0-9_]+)*$")] = "remit/authz/decision"
    timeout: Seconds = 1.0

    @model_validator(mode="after")
    def _is_one_place(self) -> Self:
        if (self.url is None) == (self.socket is None):
            raise ValueError("name exactly one of url and socket")
        return self


class VerificationKeySettings(Section):
    """A key that signs bundles: its public half (PEM), or for HS256 the secret itself."""

    key: SecretRef
    algorithm: Algorithm | Literal["HS256", "HS384", "HS512"] = "RS256"


class SignatureSettings(Section):
    """Signed bundles (``.signatures.json``). ``required``: an unsigned one is refused, and so is a folder; left out,
    that is so as soon as there are ``keys``.

    ``keys`` by their id; ``scope`` is what the signature must say, where empty nothing.
    """

    required: bool | None = None
    scope: str = ""
    keys: Mapping[Name, VerificationKeySettings] = Field(default_factory=dict)

    @property
    def is_required(self) -> bool:
        """Whether an unsigned policy is refused: a signature that can be left off would protect nothing."""
        return bool(self.keys) if self.required is None else self.required

    @model_validator(mode="after")
    def _can_be_met(self) -> Self:
        if self.required and not self.keys:
            raise ValueError("required needs keys: nobody's signature would be believed")
        return self


class PolicySettings(Section):
    """Policy. A plain path stands for ``{path: …}``.

    ``path`` is a folder or an OPA bundle (``.tar.gz``). ``engine: embedded`` evaluates it in ``workers`` processes of
    this one, each decision within ``deadline``; ``opa`` asks the server of ``opa``, and ``path`` is not read.
    ``tests``: whether the tests beside the policy must pass before it is used. ``shadow`` is a second policy that
    decides silently. ``keep_inputs``: whether the trail keeps what policy was asked, without argument values
    (``redacted``) or whole and ``encrypted`` with ``inputs_key``. ``adapter: orchestrator`` runs policies of
    ``package orchestrator``.
    """

    path: Path = Path("policy")
    engine: Literal["embedded", "opa"] = "embedded"
    adapter: Literal["none", "orchestrator"] = "none"
    deadline: Seconds = 0.15
    workers: Annotated[int, Field(ge=1, le=16)] = 2
    tests: Literal["run", "skip"] = "run"
    opa: OpaSettings | None = None
    signatures: SignatureSettings = SignatureSettings()
    shadow: Path | None = None
    keep_inputs: Literal["none", "redacted", "encrypted"] = "redacted"
    inputs_key: SecretRef | None = None

    @model_validator(mode="before")
    @classmethod
    def _plain_path(cls, value: Any) -> Any:
        return {"path": value} if isinstance(value, str | Path) else value

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.engine == "opa" and self.opa is None:
            raise ValueError("engine: opa needs opa.url or opa.socket")
        if self.keep_inputs == "encrypted" and self.inputs_key is None:
            raise ValueError("keep_inputs: encrypted needs inputs_key")
        return self
