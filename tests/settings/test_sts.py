"""The token service's clients and rules as remit.yaml has them: read, made into rules, and told where they are wrong."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from remit import oauth
from remit.app import registry
from remit.app.checking import check_all
from remit.demo.workspace import write_workspace
from remit.errors import SettingsInvalid
from remit.principal import Profile
from remit.settings import load_settings
from remit.sts.clients import Client, TargetRule

WORKLOAD = """\
version: 1
sts:
  max_lifetime: 5m
  subject_issuers:
    - issuer: https://login.corp.example
      jwks_uri: https://login.corp.example/keys
      algorithms: [RS256]
      audiences: [orders-service]
      typ: [jwt, at+jwt]
      subject_claim: oid
      scope_claim: permissions
  clients:
    orders-service:
      secret: {file: secret}
      profile: workload
      grants: [token_exchange]
      subject_audiences: [orders-api]
      max_depth: 3
      max_lifetime: 2m
      require_may_act: true
      targets:
        - audience: payments-service
          resource: https://payments.example/v1
          scopes: [payments:charge]
          max_lifetime: 60s
          max_depth: 2
          profile: workload
          bridge: true
          direct: true
          require_actor: true
          translate: {payments:charge: orders:read}
        - {audience: user-service, scopes: [orders:read]}
"""


def written(folder: Path, text: str = WORKLOAD) -> Path:
    (folder / "secret").write_text("a secret that is long enough")
    (folder / "remit.yaml").write_text(text)
    return folder / "remit.yaml"


def test_every_rule_stands_in_the_settings(tmp_path: Path) -> None:
    settings = load_settings(written(tmp_path))
    client = registry.clients(settings)["orders-service"]
    assert client == Client(
        "orders-service",
        secret_digest=client.secret_digest,
        grants=frozenset({oauth.GRANT_TOKEN_EXCHANGE}),
        subject_audiences=frozenset({"orders-api"}),
        max_depth=3,
        max_lifetime=120,
        profile=Profile.WORKLOAD,
        require_may_act=True,
        targets=(
            TargetRule(
                "payments-service",
                "https://payments.example/v1",
                ("payments:charge",),
                max_lifetime=60,
                direct=True,
                profile=Profile.WORKLOAD,
                bridge=True,
                translate={"payments:charge": "orders:read"},
                require_actor=True,
                max_depth=2,
            ),
            TargetRule("user-service", scopes=("orders:read",)),
        ),
    )
    (issuer,) = registry.subject_issuers(settings)
    assert (issuer.subject_claim, issuer.scope_claim, issuer.typ) == ("oid", "permissions", ("jwt", "at+jwt"))
    assert settings.file == tmp_path / "remit.yaml"


def test_a_client_lives_no_longer_than_the_service_allows(tmp_path: Path) -> None:
    text = WORKLOAD.replace("max_lifetime: 2m", "max_lifetime: 1h")
    assert registry.clients(load_settings(written(tmp_path, text)))["orders-service"].max_lifetime == 300


CLIENT, TARGET = "    orders-service:", "        - audience: payments-service"


@pytest.mark.parametrize(
    ("right", "wrong", "line", "says"),
    [
        ("          profile: workload", "          profile: impersonation", None, "'rfc8693' or 'workload'"),
        ("      profile: workload", "      profile: impersonation", None, "'rfc8693' or 'workload'"),
        ("      profile: workload", "      profile: rfc8693", CLIENT, "target payments-service has profile workload"),
        ("          translate: {payments:charge", "          translate: {pay", TARGET, "gives pay, which is not among"),
        (
            "        - {audience: user",
            "        - {audience: payments",
            CLIENT,
            "two targets are called payments-service",
        ),
        ("      grants: [token_exchange]", "      grants: [password]", None, "'token_exchange'"),
        ("      max_depth: 3", "      max_depth: 9", None, "less than or equal to 8"),
        ("          require_actor: true", "          require_actors: true", None, "is not a setting"),
        ("      algorithms: [RS256]", "      algorithms: [none]", None, "'ES256'"),
        ("      jwks_uri: https", "      jwks_uri: http", None, "https"),
    ],
)
def test_what_is_wrong_is_told_with_its_line(
    tmp_path: Path, right: str, wrong: str, line: str | None, says: str
) -> None:
    assert f"\n{right}" in WORKLOAD
    text = WORKLOAD.replace(f"\n{right}", f"\n{wrong}", 1)
    problem = check_all(written(tmp_path, text)).problems[0]
    at = next(number for number, each in enumerate(text.splitlines(), 1) if each.startswith(line or wrong))
    assert says in problem.message
    assert problem.where.startswith(f"{tmp_path / 'remit.yaml'}:{at}:")


@pytest.mark.parametrize(
    "extra",
    [
        {"sts": {"issuer": "https://login.corp.example"}},
        {"sts": {"trust_identity_issuers": True}, "identity": {"issuers": ["https://login.corp.example"]}},
    ],
    ids=["the service itself", "also trusted as an identity issuer"],
)
def test_an_issuer_is_named_once(tmp_path: Path, extra: dict[str, Any]) -> None:
    document = yaml.safe_load(WORKLOAD)
    document["sts"] |= extra["sts"]
    if "identity" in extra:
        names = extra["identity"]["issuers"]
        document["identity"] = {"issuers": [{"issuer": name, "jwks_uri": f"{name}/keys"} for name in names]}
    settings = load_settings(written(tmp_path, yaml.safe_dump(document)))
    with pytest.raises(SettingsInvalid, match="named twice"):
        registry.subject_issuers(settings)


def test_identity_issuers_are_trusted_for_subject_tokens_only_where_that_is_said(tmp_path: Path) -> None:
    document = yaml.safe_load(WORKLOAD)
    document["identity"] = {"issuers": [{"issuer": "https://idp.example", "jwks_uri": "https://idp.example/keys"}]}
    assert len(registry.subject_issuers(load_settings(written(tmp_path, yaml.safe_dump(document))))) == 1
    document["sts"]["trust_identity_issuers"] = True
    issuers = registry.subject_issuers(load_settings(written(tmp_path, yaml.safe_dump(document))))
    assert [each.issuer for each in issuers] == ["https://login.corp.example", "https://idp.example"]


def test_every_client_whose_secret_or_keys_are_wrong_is_told_at_once(tmp_path: Path) -> None:
    write_workspace(tmp_path)
    document = yaml.safe_load((tmp_path / "remit.yaml").read_text())
    (tmp_path / "short").write_text("short")
    (tmp_path / "keys.json").write_text(json.dumps({"keys": [{"kty": "oct", "k": "AAAA"}]}))
    document["sts"]["clients"] |= {
        "lost": {"secret": {"file": "nowhere"}},
        "short": {"secret": {"file": "short"}},
        "keyed": {"jwks_file": "keys.json"},
    }
    (tmp_path / "remit.yaml").write_text(yaml.safe_dump(document))
    report = check_all(tmp_path / "remit.yaml")
    assert {problem.where for problem in report.problems} == {
        "sts.clients.lost.secret",
        "sts.clients.short.secret",
        "sts.clients.keyed.jwks_file",
    }
