"""Noun: everything that can be set, one class per folder.

Secrets do not stand here: a setting names the file or the environment variable that holds one.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, PrivateAttr, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from remit.settings.fields import Algorithm, Name, Scope, Seconds, SecretRef, Section, Url, WholeSeconds
from remit.settings.gateway import GatewaySettings
from remit.settings.login import LoginSettings
from remit.settings.policy import PolicySettings
from remit.settings.sign_in import SignInSettings
from remit.settings.sts import StsSettings
from remit.web import is_loopback


class ClaimSettings(Section):
    """The claims in which an issuer puts what policy wants to know."""

    name: str = "name"
    groups: str = "groups"
    roles: str = "roles"


class IntrospectionSettings(Section):
    """How an issuer is asked about its tokens (RFC 7662), and how this server proves itself to it."""

    endpoint: Url
    client_id: Name
    client_secret: SecretRef
    auth: Literal["client_secret_basic", "client_secret_post"] = "client_secret_basic"


class IssuerSettings(Section):
    """An external issuer whose tokens prove a subject: JWTs, or with ``introspection`` any text, about which it is asked."""

    issuer: Url
    jwks_uri: Url | None = None
    algorithms: Annotated[tuple[Algorithm, ...], Field(min_length=1)] = ("ES256",)
    introspection: IntrospectionSettings | None = None
    claims: ClaimSettings = ClaimSettings()

    @model_validator(mode="after")
    def _can_be_verified(self) -> Self:
        if (self.jwks_uri is None) == (self.introspection is None):
            raise ValueError("an issuer has exactly one of jwks_uri and introspection")
        return self


class IdentitySettings(Section):
    """Who is believed. ``audiences`` are the names this server goes by; default: ``<public_url>/mcp``."""

    audiences: tuple[str, ...] = ()
    issuers: tuple[IssuerSettings, ...] = ()
    typ: Annotated[tuple[str, ...], Field(min_length=1)] = ("at+jwt",)
    leeway: WholeSeconds = 30

    @model_validator(mode="after")
    def _shows_tokens_to_one(self) -> Self:
        if sum(item.introspection is not None for item in self.issuers) > 1:
            raise ValueError("no more than one issuer may have introspection: each would be shown the other's tokens")
        return self


class AgentSettings(Section):
    """The agent runner: this installation's client at the token service.

    ``actor: token`` gets the runner an own token and sends it as ``actor_token``; ``actor: client`` sends none,
    for services that take the authenticated client for the actor. ``acting: caller`` takes the client that the user
    signed in through for the agent, and this installation for the next link, which passes on what it asks for.
    """

    client_id: Name = "agent-runner"
    client_secret: SecretRef | None = None
    private_key: SecretRef | None = None
    auth: Literal["client_secret_basic", "client_secret_post", "private_key_jwt"] = "client_secret_basic"
    actor: Literal["token", "client"] = "token"
    acting: Literal["runner", "caller"] = "runner"

    @model_validator(mode="after")
    def _has_its_proof(self) -> Self:
        if self.auth == "private_key_jwt" and self.private_key is None:
            raise ValueError("auth private_key_jwt needs private_key")
        return self


class ExpectSettings(Section):
    """How a remote token service's answers differ from RFC 8693 and RFC 9068; each default is what those say.

    ``act: none``: its tokens may name no actor, so the API cannot tell them from the user's own. ``aud: optional``:
    they may name no audience, and are then good anywhere. ``exp: own``: they may outlive the user's token.
    ``client_claim``: where they name the client. ``issued_token_type: optional``: its answer may leave that out.
    """

    act: Literal["required", "none"] = "required"
    aud: Literal["required", "optional"] = "required"
    client_claim: Name = "client_id"
    exp: Literal["within_subject", "own"] = "within_subject"
    issued_token_type: Literal["required", "optional"] = "required"


class ExchangeSettings(Section):
    """The token service. ``embedded`` is the one of ``sts:``; ``remote`` is any RFC 8693 token endpoint.

    ``issuer`` is required for ``remote``: its metadata name the endpoint unless ``token_endpoint`` does.
    ``scopes_within_subject``: the service gives only scopes that the subject token holds (the embedded one does),
    so a missing scope can be told to the client at once. ``own_token_targets``: the APIs, by audience or resource, that
    tools may call with a token of this installation's own, which does not name the user.
    """

    service: Literal["embedded", "remote"] = "embedded"
    issuer: Url | None = None
    token_endpoint: Url | None = None
    jwks_uri: Url | None = None
    algorithms: Annotated[tuple[Algorithm, ...], Field(min_length=1)] = ("ES256",)
    typ: Annotated[tuple[str, ...], Field(min_length=1)] = ("at+jwt",)
    timeout: Seconds = 5.0
    scopes_within_subject: bool = True
    own_token_targets: tuple[str, ...] = ()
    expect: ExpectSettings = ExpectSettings()

    @model_validator(mode="after")
    def _fits_the_service(self) -> Self:
        if self.service == "remote" and (self.issuer is None or self.jwks_uri is None):
            raise ValueError("service: remote needs issuer and jwks_uri")
        if self.service == "embedded" and self.expect != ExpectSettings():
            raise ValueError("expect is for service: remote; the embedded service does as the RFCs say")
        return self


class McpSettings(Section):
    """The MCP door over HTTP. Hosts and origins of this machine are always allowed; add the public ones."""

    allowed_hosts: tuple[str, ...] = ()
    allowed_origins: tuple[str, ...] = ()
    baseline_scopes: tuple[Scope, ...] = ()
    max_body_bytes: Annotated[int, Field(ge=1024, le=16 << 20)] = 1 << 20


class AuditSettings(Section):
    """The trail's file; default: ``audit.db`` in the state directory."""

    file: Path | None = None


class LogSettings(Section):
    """Logs go to standard error."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    format: Literal["auto", "text", "json"] = "auto"


class Settings(BaseSettings):
    """Everything that can be set. ``variables`` fill ``${NAME}`` in tool files where the environment does not."""

    model_config = SettingsConfigDict(
        frozen=True, extra="forbid", env_prefix="REMIT_", env_nested_delimiter="__", env_ignore_empty=True
    )

    version: Literal[1] = 1
    listen: Annotated[str, Field(pattern=r"^(\[[0-9a-fA-F:]+\]|[A-Za-z0-9.-]+):\d{1,5}$")] = "127.0.0.1:8700"
    public_url: Url | None = None
    state_dir: Path = Path(".remit")
    tools: tuple[Path, ...] = (Path("tools"),)
    tools_lock: Literal["off", "warn", "enforce"] = "off"
    python_tools: bool = False
    policy: PolicySettings = PolicySettings()
    variables: Mapping[str, str] = Field(default_factory=dict)
    subject_token: Annotated[str, Field(repr=False)] = ""
    subject_token_file: Path | None = None
    subject_token_command: tuple[str, ...] = ()
    identity: IdentitySettings = IdentitySettings()
    agent: AgentSettings = AgentSettings()
    exchange: ExchangeSettings = ExchangeSettings()
    sts: StsSettings = StsSettings()
    sign_in: SignInSettings = SignInSettings()
    login: LoginSettings = LoginSettings()
    mcp: McpSettings = McpSettings()
    gateway: GatewaySettings = GatewaySettings()
    audit: AuditSettings = AuditSettings()
    log: LogSettings = LogSettings()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """The environment wins over the file, which arrives as keyword arguments."""
        del settings_cls, dotenv_settings, file_secret_settings
        return env_settings, init_settings

    _file: Path | None = PrivateAttr(default=None)

    def read_from(self, file: Path) -> Self:
        """The same settings, remembering the file they were read from."""
        copy = self.model_copy()
        copy._file = file  # noqa: SLF001  its own
        return copy

    @property
    def file(self) -> Path | None:
        """The file these were read from; ``None`` where there was none."""
        return self._file

    @model_validator(mode="after")
    def _says_where_it_is(self) -> Self:
        host = self.listen.rpartition(":")[0]
        if self.public_url is None and not is_loopback(f"http://{host}"):
            raise ValueError(f"listening on {host} needs public_url: the https address that clients use")
        return self

    @model_validator(mode="after")
    def _can_issue_what_it_lets_sign_in_for(self) -> Self:
        if self.sign_in.enabled and not self.sts.enabled:
            raise ValueError("sign_in needs the embedded token service: set sts.enabled")
        return self

    @property
    def base_url(self) -> str:
        """Where this server is reached: ``public_url``, or what it listens on."""
        return (self.public_url or f"http://{self.listen}").rstrip("/")

    @property
    def issuer(self) -> str:
        """The embedded token service's name."""
        return self.sts.issuer or self.base_url

    @property
    def mcp_resource(self) -> str:
        """The MCP door's own resource identifier (RFC 9728 §1.2), the first audience it goes by."""
        return self.identity.audiences[0] if self.identity.audiences else f"{self.base_url}/mcp"

    @property
    def mcp_audiences(self) -> tuple[str, ...]:
        """The names the MCP door goes by."""
        return self.identity.audiences or (self.mcp_resource,)

    @property
    def gateway_audiences(self) -> tuple[str, ...]:
        """The names the gateway goes by; callers' tokens must be for one of them."""
        return self.gateway.audiences or (f"{self.base_url}/gateway",)

    @property
    def passwords_file(self) -> Path:
        """Where the hashes of the users' passwords are."""
        return self.sign_in.passwords or self.state_dir / "passwords"

    @property
    def authorizations_file(self) -> Path:
        """Where it stands which client was allowed what by whom."""
        return self.state_dir / "authorizations.db"

    @property
    def audit_file(self) -> Path:
        """Where the trail is."""
        return self.audit.file or self.state_dir / "audit.db"

    @property
    def keys_dir(self) -> Path:
        """Where the token service's signing keys are."""
        return self.state_dir / "keys"

    @property
    def descriptions_dir(self) -> Path:
        """Where parsed API descriptions are kept, as long as there is a state directory."""
        return self.state_dir / "descriptions"

    @property
    def approvals_file(self) -> Path:
        """Where it stands who asked for an approval, who gave it, and which agents have acted for whom."""
        return self.state_dir / "approvals.db"

    @property
    def revocations_file(self) -> Path:
        """Where it stands what was revoked."""
        return self.state_dir / "revocations.db"
