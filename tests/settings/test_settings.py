"""Settings: where they come from, which wins, and what a mistake is told."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
import yaml

from remit.errors import SettingsInvalid
from remit.settings import SecretRef, Settings, effective, load_settings, read_secret, survey_settings


@pytest.fixture(autouse=True)
def nothing_from_outside(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in [name for name in os.environ if name.startswith("REMIT_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


def written(text: str, folder: Path, name: str = "remit.yaml") -> Path:
    file = folder / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8")
    return file


def loaded(text: str, folder: Path) -> Settings:
    return load_settings(written(text, folder))


#: An issuer that is asked about its tokens.
ASKED = (
    "issuer: https://a.example, "
    "introspection: {endpoint: https://a.example/introspect, client_id: remit, client_secret: {env: X}}"
)


def refused(text: str, folder: Path) -> tuple[SettingsInvalid, ...]:
    with pytest.raises(SettingsInvalid) as caught:
        loaded(text, folder)
    return caught.value.problems


# ── which wins ───────────────────────────────────────────────────────────────────────────


def test_without_file_and_environment_the_defaults_are_for_this_machine_alone(tmp_path: Path) -> None:
    settings = load_settings()
    assert settings.listen == "127.0.0.1:8700"
    assert settings.mcp_resource == "http://127.0.0.1:8700/mcp"
    assert settings.issuer == "http://127.0.0.1:8700"
    assert settings.audit_file == tmp_path / ".remit" / "audit.db"
    assert settings.exchange.service == "embedded"
    assert not settings.sts.clients
    assert not settings.sts.users


def test_the_file_wins_over_the_defaults_and_the_environment_over_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = "listen: 127.0.0.1:1\nexchange: {timeout: 2s}\nlog: {level: debug, format: json}\n"
    assert loaded(text, tmp_path).listen == "127.0.0.1:1"
    monkeypatch.setenv("REMIT_LISTEN", "127.0.0.1:2")
    monkeypatch.setenv("REMIT_LOG__LEVEL", "error")
    settings = loaded(text, tmp_path)
    assert settings.listen == "127.0.0.1:2"
    assert settings.exchange.timeout == 2
    assert (settings.log.level, settings.log.format) == ("error", "json")  # beside it the file still counts


def test_an_empty_variable_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REMIT_LISTEN", "")
    assert loaded("listen: 127.0.0.1:1\n", tmp_path).listen == "127.0.0.1:1"


def test_the_file_of_this_folder_is_found(tmp_path: Path) -> None:
    written("listen: 127.0.0.1:7\n", tmp_path)
    assert load_settings().listen == "127.0.0.1:7"


def test_a_subject_token_comes_from_the_environment_only_and_is_never_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (problem,) = refused("subject_token: eyJ.a.b\n", tmp_path)
    assert problem.where.endswith("remit.yaml:1:1")
    assert "eyJ" not in f"{problem} {problem.hint}"
    monkeypatch.setenv("REMIT_SUBJECT_TOKEN", "eyJ.a.b")
    settings = loaded("", tmp_path)
    assert settings.subject_token == "eyJ.a.b"
    assert "eyJ" not in repr(settings) + str(settings) + str(effective(settings))


def test_a_list_in_the_environment_is_json(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REMIT_SUBJECT_TOKEN_COMMAND", '["get-token", "--now"]')
    assert loaded("", tmp_path).subject_token_command == ("get-token", "--now")
    monkeypatch.setenv("REMIT_SUBJECT_TOKEN_COMMAND", "get-token --secret hunter2")
    (problem,) = refused("", tmp_path)
    assert "REMIT_SUBJECT_TOKEN_COMMAND" in problem.message
    assert "hunter2" not in f"{problem.message} {problem.hint} {problem.detail} {problem.where}"


# ── paths ────────────────────────────────────────────────────────────────────────────────


def test_relative_paths_are_relative_to_the_settings_file_wherever_remit_runs(tmp_path: Path) -> None:
    file = written(
        "state_dir: state\ntools: [here, ../there]\npolicy: rules\naudit: {file: trail.db}\n"
        "agent: {client_secret: {file: secrets/agent}}\n"
        "sts: {clients: {a: {secret: {file: secrets/a}}, b: {jwks_file: b.json}}}\n",
        tmp_path / "etc",
    )
    settings = load_settings(Path("etc") / "remit.yaml")
    etc = file.parent
    assert settings.state_dir == etc / "state"
    assert settings.tools == (etc / "here", etc / "../there")
    assert settings.policy.path == etc / "rules"
    assert settings.audit_file == etc / "trail.db"
    assert settings.agent.client_secret is not None
    assert settings.agent.client_secret.file == etc / "secrets" / "agent"
    assert settings.sts.clients["a"].secret is not None
    assert settings.sts.clients["a"].secret.file == etc / "secrets" / "a"
    assert settings.sts.clients["b"].jwks_file == etc / "b.json"


def test_absolute_paths_and_those_of_the_home_stay_what_they_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("USERPROFILE", str(tmp_path / "home"))
    settings = loaded(yaml.safe_dump({"state_dir": "~/remit", "policy": str(tmp_path / "rules")}), tmp_path / "etc")
    assert settings.state_dir == tmp_path / "home" / "remit"
    assert settings.policy.path == tmp_path / "rules"


def test_a_home_nobody_has_is_an_error_like_any_other(tmp_path: Path) -> None:
    (problem,) = refused("state_dir: ~nobody-of-that-name/x\n", tmp_path)
    assert "~nobody-of-that-name" in problem.message


def test_a_path_with_a_null_byte_is_refused(tmp_path: Path) -> None:
    for text in ('state_dir: "a\\0b"\n', 'sts: {clients: {a: {secret: {file: "a\\0b"}}}}\n'):
        (problem,) = refused(text, tmp_path)
        assert "is no path" in problem.message


# ── mistakes ─────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("text", "where", "name", "hint"),
    [
        ("version: 1\nlisten_on: 127.0.0.1:1\n", "2:1", "listen_on", "did you mean listen?"),
        ("audit:\n  fiel: x\n", "2:3", "audit.fiel", "did you mean file?"),
        ("sts:\n  clients:\n    a:\n      secrt: {file: x}\n", "4:7", "sts.clients.a.secrt", "did you mean secret?"),
        (
            "sts:\n  clients:\n    a:\n      secret: {file: x}\n      targets:\n        - {audience: b, scope: [c]}\n",
            "6:25",
            "sts.clients.a.targets.0.scope",
            "did you mean scopes?",
        ),
        ("nothing_like_it: 1\n", "1:1", "nothing_like_it", ""),
    ],
)
def test_an_unknown_key_is_pointed_at_with_what_may_have_been_meant(
    tmp_path: Path, text: str, where: str, name: str, hint: str
) -> None:
    problems = {problem.message: problem for problem in refused(text, tmp_path)}
    problem = problems[f"{name} is not a setting"]
    assert problem.where == f"{tmp_path / 'remit.yaml'}:{where}"
    assert problem.hint == hint


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("listen: here\n", "1:1"),
        ("public_url: http://remit.example\n", "1:1"),
        ("public_url: https://user:pw@remit.example\n", "1:1"),
        ("version: 2\n", "1:1"),
        ("exchange: {timeout: 5}\nlog: {level: loud}\n", "2:7"),
        ("exchange:\n  timeout: 5 minutes\n", "2:3"),
        ("exchange:\n  timeout: 0s\n", "2:3"),
        ("exchange: {service: remote}\n", "1:1"),
        ("agent: {auth: private_key_jwt}\n", "1:1"),
        ("mcp:\n  max_body_bytes: 1\n", "2:3"),
        ("sts:\n  clients:\n    a b: {secret: {file: x}}\n", "3:5"),
        ("sts:\n  clients:\n    a: {}\n", "3:5"),
        ("identity:\n  issuers:\n    - issuer: https://a.example\n      jwks_uri: ftp://a.example\n", "4:7"),
        (
            "identity:\n  issuers: [{issuer: https://a.example, jwks_uri: https://a.example, algorithms: [none]}]\n",
            "2:83",
        ),
        ("identity: {typ: []}\n", "1:12"),
        ("identity:\n  issuers:\n    - issuer: https://a.example\n", "3:7"),
        (f"identity:\n  issuers:\n    - {{jwks_uri: https://a.example, {ASKED}}}\n", "3:7"),
        (f"identity:\n  issuers:\n    - {{{ASKED}}}\n    - {{{ASKED}}}\n", "1:1"),
        (f"identity:\n  issuers:\n    - {{{ASKED.replace('{env: X}', 'secret')}}}\n", "3:109"),
    ],
)
def test_a_value_that_cannot_be_is_pointed_at(tmp_path: Path, text: str, where: str) -> None:
    (problem, *_) = refused(text, tmp_path)
    assert problem.where == f"{tmp_path / 'remit.yaml'}:{where}"
    assert problem.message


@pytest.mark.parametrize(
    "text",
    [
        "a: [\n",
        "- a\n",
        "1: 2\n",
        "listen: !!python/object:os.system x\n",
        "&a {b: *a}\n",
        "\x00",
        "just words",
        "[" * 1100,
        "listen: 127.0.0.1:1\x1b[31m",
    ],
)
def test_what_is_no_settings_file_is_refused_and_not_run(tmp_path: Path, text: str) -> None:
    (problem, *_) = refused(text, tmp_path)
    assert problem.where.startswith(str(tmp_path / "remit.yaml"))


def test_a_file_that_is_too_large_or_not_text_or_not_there_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "remit.yaml"
    for content in (b"#" * (1 << 20) + b"\n", b"\xff\xfe"):
        file.write_bytes(content)
        with pytest.raises(SettingsInvalid):
            load_settings(file)
    for missing in (tmp_path / "nowhere.yaml", tmp_path):
        with pytest.raises(SettingsInvalid, match="cannot read"):
            load_settings(missing)


def test_every_mistake_is_listed_at_once(tmp_path: Path) -> None:
    problems = refused("listne: 1\nlog: {level: loud}\nexchange: {timeout: long}\n", tmp_path)
    assert sorted(problem.where.rpartition("remit.yaml:")[2] for problem in problems) == ["1:1", "2:7", "3:12"]


def test_a_survey_goes_on_behind_mistakes(tmp_path: Path) -> None:
    survey = survey_settings(written("tools: [mine]\nlog: {level: loud}\n", tmp_path))
    assert survey.mistaken == {"log"}
    assert len(survey.problems) == 1
    assert survey.settings is not None
    assert survey.settings.tools == (tmp_path / "mine",)
    assert survey.settings.log.level == "info"


def test_a_survey_of_what_cannot_be_read_has_no_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    survey = survey_settings(written("a: [\n", tmp_path))
    assert survey.settings is None
    assert survey.problems
    monkeypatch.setenv("REMIT_LISTEN", "nowhere")
    survey = survey_settings(written("", tmp_path))
    assert survey.settings is None
    assert survey.mistaken == {"listen"}


# ── secrets ──────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("secret", ["in-the-open", {"value": "in-the-open"}, {}, {"file": "a", "env": "B"}])
def test_a_secret_stands_in_a_file_or_a_variable_and_never_in_the_settings(tmp_path: Path, secret: Any) -> None:
    text = yaml.safe_dump({"sts": {"clients": {"a": {"secret": secret}}}})
    problems = refused(text, tmp_path)
    assert problems[0].where.startswith(str(tmp_path / "remit.yaml:"))
    assert all(
        "in-the-open" not in f"{problem.message} {problem.hint} {problem.detail} {problem!r}" for problem in problems
    )


def test_a_secret_is_read_from_where_it_is_and_trimmed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written(" s3cret \n", tmp_path, "secret")
    monkeypatch.setenv("AGENT_SECRET", "s3cret\n")
    for ref in (SecretRef(file=tmp_path / "secret"), SecretRef(env="AGENT_SECRET")):
        secret = read_secret(ref, "agent.client_secret")
        assert secret.reveal() == "s3cret"
        assert "s3cret" not in repr(secret)


def test_a_secret_that_is_not_there_is_named_by_its_setting_and_its_place(tmp_path: Path) -> None:
    written(" \n", tmp_path, "empty")
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    for ref, place in (
        (SecretRef(file=tmp_path / "nowhere"), "nowhere"),
        (SecretRef(file=tmp_path / "empty"), "empty"),
        (SecretRef(file=tmp_path / "binary"), "binary"),
        (SecretRef(env="NOT_SET_ANYWHERE"), "NOT_SET_ANYWHERE"),
    ):
        with pytest.raises(SettingsInvalid) as caught:
            read_secret(ref, "agent.client_secret")
        assert caught.value.where == "agent.client_secret"
        assert place in caught.value.message


# ── what follows from them ───────────────────────────────────────────────────────────────


def test_the_public_address_is_what_this_server_goes_by(tmp_path: Path) -> None:
    settings = loaded("listen: 0.0.0.0:80\npublic_url: https://remit.example/\n", tmp_path)
    assert settings.base_url == settings.issuer == "https://remit.example"
    assert settings.mcp_resource == "https://remit.example/mcp"
    named = loaded("identity: {audiences: ['https://tools.example/mcp', other]}\n", tmp_path)
    assert named.mcp_resource == "https://tools.example/mcp"
    apart = loaded("public_url: https://remit.example\nsts: {issuer: https://sts.example}\n", tmp_path)
    assert apart.issuer == "https://sts.example"


def test_settings_do_not_change(tmp_path: Path) -> None:
    settings = loaded("", tmp_path)
    with pytest.raises(ValueError, match="frozen"):
        settings.listen = "0.0.0.0:80"


@pytest.mark.parametrize(("text", "seconds"), [("90s", 90), ("5m", 300), ("1h", 3600), ("250ms", 0.25), ("7", 7)])
def test_a_duration_has_a_unit_or_is_in_seconds(tmp_path: Path, text: str, seconds: float) -> None:
    assert loaded(f"exchange: {{timeout: {text}}}\n", tmp_path).exchange.timeout == seconds
