from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from remit.errors import PolicyInvalid
from remit.policy.bundle import load_policy

MODULE = "package remit.authz\nimport rego.v1\n"


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    (tmp_path / "authz.rego").write_text(MODULE)
    return tmp_path


def test_modules_below_the_directory_are_found_but_not_tests(directory: Path) -> None:
    (directory / "lib").mkdir()
    (directory / "lib" / "time.rego").write_text("package lib")
    (directory / "authz_test.rego").write_text("package remit.authz_test")
    bundle = load_policy(directory)
    assert list(bundle.modules) == ["authz.rego", "lib/time.rego"]
    assert bundle.data == {}


def test_data_may_be_json_or_yaml_and_give_the_same_revision(directory: Path, tmp_path: Path) -> None:
    (directory / "data.json").write_text('{"roles": {"lead": ["a"]}, "limit": 5}')
    from_json = load_policy(directory)
    (directory / "data.json").unlink()
    (directory / "data.yaml").write_text("limit: 5\nroles:\n  lead: [a]\n")
    from_yaml = load_policy(directory)
    assert from_json.data == from_yaml.data == {"roles": {"lead": ["a"]}, "limit": 5}
    assert from_json.revision == from_yaml.revision


def test_any_change_changes_the_revision(directory: Path) -> None:
    revisions = {load_policy(directory).revision}
    (directory / "authz.rego").write_text(MODULE + "# a comment")
    revisions.add(load_policy(directory).revision)
    (directory / "data.json").write_text("{}")
    (directory / "authz.rego").rename(directory / "other.rego")
    revisions.add(load_policy(directory).revision)
    (directory / "data.json").write_text('{"limit": 6}')
    revisions.add(load_policy(directory).revision)
    assert len(revisions) == 4


def no_policy(directory: Path) -> None:
    (directory / "authz.rego").unlink()


def no_utf8(directory: Path) -> None:
    (directory / "authz.rego").write_bytes(b"\xff")


def too_large(directory: Path) -> None:
    (directory / "authz.rego").write_text("#" * 1_000_001)


def too_many(directory: Path) -> None:
    for number in range(201):
        (directory / f"{number}.rego").touch()


def two_data_files(directory: Path) -> None:
    (directory / "data.json").write_text("{}")
    (directory / "data.yaml").write_text("{}")


def data(text: str) -> Callable[[Path], None]:
    def spoil(directory: Path) -> None:
        (directory / "data.json").write_text(text)

    return spoil


def bad_yaml(directory: Path) -> None:
    (directory / "data.yaml").write_text("a: 1\na: 2\n")


@pytest.mark.parametrize(
    ("spoil", "file"),
    [
        (no_policy, ""),
        (no_utf8, "authz.rego"),
        (too_large, "authz.rego"),
        (too_many, ""),
        (two_data_files, "data.yaml"),
        (data('{\n "a": }'), "data.json:2:7"),
        (data('{"a": 1, "a": 2}'), "data.json"),
        (data('{"a": NaN}'), "data.json"),
        (data("[" * 100_000), "data.json"),
        (data("[1]"), "data.json"),
        (bad_yaml, "data.yaml:2:1"),
    ],
    ids=lambda value: getattr(value, "__name__", value) or "directory",
)
def test_a_directory_that_is_no_policy_is_refused_by_name(
    directory: Path, spoil: Callable[[Path], None], file: str
) -> None:
    spoil(directory)
    with pytest.raises(PolicyInvalid) as caught:
        load_policy(directory)
    assert caught.value.where == str(directory / file)


def test_a_directory_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PolicyInvalid):
        load_policy(tmp_path / "nowhere")
