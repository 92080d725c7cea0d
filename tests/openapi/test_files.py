"""The files of a description: bounded, local, inside their folder, parsed once."""

from __future__ import annotations

import contextlib
import json
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remit.catalog.openapi import files, text
from remit.catalog.openapi.files import DescriptionFiles, read_description
from remit.catalog.openapi.references import FileRefused
from remit.catalog.openapi.text import TextInvalid, parse_json, parse_yaml
from remit.errors import DescriptionInvalid

API = """\
openapi: 3.1.0
info: {title: T, version: 2026-11-22}
paths:
  /x:
    get:
      operationId: getX
      responses:
        200: {description: OK}
"""


def write(folder: Path, **contents: str) -> Path:
    for name, content in contents.items():
        path = folder / name.replace("__", "/").replace("_", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, encoding="utf-8")
    return folder / "api.yaml"


def yaml(content: str | bytes) -> Any:
    return parse_yaml(content.encode() if isinstance(content, str) else content)


def broken(content: str) -> str:
    with pytest.raises(TextInvalid) as caught:
        yaml(content)
    return caught.value.reason


# ── text ─────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("content", "data"),
    [
        ("200: a", {"200": "a"}),
        ("on: off", {"on": "off"}),
        ("yes: no", {"yes": "no"}),
        ("~: 1\ntrue: 2", {"~": 1, "true": 2}),
        ("d: 2026-11-22", {"d": "2026-11-22"}),
        ("d: 2026-11-22T10:00:00Z", {"d": "2026-11-22T10:00:00Z"}),
        ("a: 090\nb: 0x1F\nc: 1_000\nd: 1:30", {"a": "090", "b": "0x1F", "c": "1_000", "d": "1:30"}),
        ("a: 1\na: 2", {"a": 2}),
        ("a: !!int 1\nb: !secret x\nc: !!str 1", {"a": 1, "b": "x", "c": "1"}),
        ("a: '1'", {"a": "1"}),
        ("a: &x {b: 1, c: 2}\nd: {<<: *x, c: 3}", {"a": {"b": 1, "c": 2}, "d": {"b": 1, "c": 3}}),
        ("a: &x {b: 1}\nd: {b: 3, <<: [*x, {e: 2}]}", {"a": {"b": 1}, "d": {"b": 3, "e": 2}}),
        ("a: {'<<': 1}", {"a": {"<<": 1}}),
        ("a: &x [1]\nb: *x", {"a": [1], "b": [1]}),
        ("&k a: 1\n*k : 2", {"a": 2}),
        ("a: 1\n--- \nb: 2", {"a": 1}),
        ("", None),
        ("\ufeffa: ü", {"a": "ü"}),
        ('{"a": [1, 2.5, true, null]}', {"a": [1, 2.5, True, None]}),
    ],
)
def test_yaml_is_what_it_looks_like(content: str, data: Any) -> None:
    found = yaml(content)
    assert found == data
    assert json.dumps(found) == json.dumps(data)


def test_yaml_in_utf_16_is_read() -> None:
    assert yaml("a: ü".encode("utf-16")) == {"a": "ü"}


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("a: *nothing", "names no anchor"),
        ("a: &x [*x]", "names no anchor that is complete"),
        ("? {a: 1}\n: 2", "a collection is no key"),
        ("a: [", "not YAML"),
        ("a: b: c", "not YAML"),
        ("a: \x00", "not allow"),
        ("[" * 500, "nested deeper"),
    ],
)
def test_what_cannot_be_read_says_why(content: str, said: str) -> None:
    assert said in broken(content)


def test_aliases_count_as_often_as_they_are_used() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 12)]
    assert "too many values" in broken("\n".join(lines))
    assert "too many values" in broken(f"a: &a {'x' * 100_000}\nb: [{', '.join(['*a'] * 2_000)}]")


@pytest.mark.parametrize(
    ("content", "data"),
    [
        (b'{"a": 1e999}', {"a": None}),
        (b'{"a": "\\ud83d"}', {"a": "?"}),
        (b'{"a": 123456789012345678901234567890}', {"a": 123456789012345678901234567890.0}),
    ],
)
def test_json_that_only_some_take_is_what_everybody_takes(content: bytes, data: Any) -> None:
    assert parse_json(content) == data


@pytest.mark.parametrize("content", [b"", b"{", b'{"a": }', b"\xff", b"[" * 100_000, b"[" + b"1," * 6_500_000 + b"1]"])
def test_json_that_cannot_be_read_says_so(content: bytes) -> None:
    with pytest.raises(TextInvalid):
        parse_json(content)


@given(content=st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
def test_any_bytes_are_data_or_refused(content: bytes) -> None:
    for parse in (parse_yaml, parse_json):
        with contextlib.suppress(TextInvalid):
            json.dumps(parse(content))


#: What may stand in JSON and in YAML alike.
TEXT = st.text(st.characters(categories=["L", "N", "P", "S", "Zs"]), max_size=10)
DATA = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=15,
)


@given(data=DATA)
def test_json_read_as_yaml_is_the_same(data: Any) -> None:
    content = json.dumps(data, ensure_ascii=False).encode()
    assert parse_json(content) == data
    assert parse_yaml(content) == data


# ── files ────────────────────────────────────────────────────────────────────────────────


def test_a_description_is_read_with_its_digest_and_files(tmp_path: Path) -> None:
    found = read_description(write(tmp_path, api_yaml=API))
    assert (found.title, found.version, found.files) == ("T", "2026-11-22", ("api.yaml",))
    assert found.operations[0].responses[0].status == "200"
    assert len(found.digest) == 64
    assert read_description(tmp_path / "api.yaml").digest == found.digest
    write(tmp_path, api_yaml=API + "# changed\n")
    assert read_description(tmp_path / "api.yaml").digest != found.digest


def test_json_with_comments_is_read_as_yaml(tmp_path: Path) -> None:
    path = tmp_path / "api.json"
    path.write_text('\ufeff{"openapi": "3.0.0", # why\n "paths": {},}', encoding="utf-8")
    assert read_description(path).dialect == "3.0"


def test_files_below_the_folder_are_read_when_they_are_referred_to(tmp_path: Path) -> None:
    api = API.replace("200: {description: OK}", "200: {$ref: parts/answers.yaml#/ok}")
    part = "ok: {description: OK, content: {application/json: {schema: {$ref: ../pet.json}}}}"
    found = read_description(
        write(tmp_path, api_yaml=api, parts__answers_yaml=part, pet_json='{"type": "object"}', unused_yaml="[")
    )
    assert found.notes == ()
    assert found.files == ("api.yaml", "parts/answers.yaml", "pet.json")
    assert found.response_schemas == {"pet": {"type": "object"}}


@pytest.mark.parametrize("reference", ["../secret.yaml", "link.yaml", "folder/secret.yaml", "missing.yaml", "sub"])
def test_nothing_outside_the_folder_is_read(tmp_path: Path, reference: str) -> None:
    inside = tmp_path / "inside"
    api = write(inside, api_yaml=API.replace("{description: OK}", f"{{$ref: {reference}}}"), sub__x_yaml="{}")
    write(tmp_path, secret_yaml="{description: secret}")
    try:
        (inside / "link.yaml").symlink_to(tmp_path / "secret.yaml")
        (inside / "folder").symlink_to(tmp_path)
    except OSError:
        if "link" in reference or "folder" in reference:
            pytest.skip("no symbolic links here")
    found = read_description(api)
    assert found.files == ("api.yaml",)
    assert found.operations[0].responses[0].description == ""
    (note,) = found.notes
    assert any(said in note.message for said in ("outside the description's folder", "does not exist", "is no file"))


def test_a_wider_folder_may_be_given(tmp_path: Path) -> None:
    api = API.replace("{description: OK}", "{$ref: ../common/answers.yaml#/ok}")
    path = write(tmp_path / "spec", api_yaml=api)
    write(tmp_path / "common", answers_yaml="ok: {description: shared}")
    assert read_description(path).operations[0].responses[0].description == ""
    found = read_description(path, folder=tmp_path)
    assert found.operations[0].responses[0].description == "shared"
    assert found.files == ("common/answers.yaml", "spec/api.yaml")


def test_a_main_file_that_cannot_be_read_is_refused_with_the_reason(tmp_path: Path) -> None:
    for name, content, said in [
        ("none.yaml", None, "does not exist"),
        ("bad.yaml", "a: [", "cannot be read: this is not YAML"),
        ("bad.json", '{"openapi": ', "cannot be read: this is not JSON"),
        ("other.yaml", "version: 1", "OpenAPI 2.0 or 3.x is needed"),
        ("list.yaml", "[]", "is a mapping"),
    ]:
        path = tmp_path / name
        if content is not None:
            path.write_text(content, encoding="utf-8")
        with pytest.raises(DescriptionInvalid) as caught:
            read_description(path)
        assert said in caught.value.message
        assert caught.value.where == path.as_posix()
    with pytest.raises(DescriptionInvalid, match="outside the folder"):
        read_description(write(tmp_path, api_yaml=API), folder=tmp_path / "else")
    with pytest.raises(DescriptionInvalid, match="is no file"):
        read_description(tmp_path)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="pipes with a name are not had here")
def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.yaml")
    with pytest.raises(DescriptionInvalid, match="is no file"):
        read_description(tmp_path / "pipe.yaml")


def test_a_file_that_is_too_large_is_refused(tmp_path: Path) -> None:
    (tmp_path / "big.yaml").write_bytes(b"#" * (files.MAX_FILE_BYTES + 1))
    with pytest.raises(DescriptionInvalid, match="too large"):
        read_description(tmp_path / "big.yaml")


def test_files_are_bounded_in_all(tmp_path: Path) -> None:
    for number in range(files.MAX_FILES + 1):
        (tmp_path / f"{number}.json").write_bytes(b"{}")
    found = DescriptionFiles(tmp_path)
    for number in range(files.MAX_FILES):
        assert found[f"{number}.json"] == {}
    with pytest.raises(FileRefused) as caught:
        found[f"{files.MAX_FILES}.json"]
    assert "one of more than" in caught.value.reason


# ── what is kept ─────────────────────────────────────────────────────────────────────────


#: Large enough to be kept.
LARGE = API + "#" * 16 * 1024 + "\n"


def test_parsed_yaml_is_kept_and_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, cache = write(tmp_path, api_yaml=LARGE), tmp_path / "parsed"
    first = read_description(path, cache=cache)
    assert len(list(cache.iterdir())) == 1
    monkeypatch.setattr(files, "parse_yaml", None)  # not needed any more
    assert read_description(path, cache=cache) == first


def test_small_files_are_not_kept(tmp_path: Path) -> None:
    read_description(write(tmp_path, api_yaml=API), cache=tmp_path / "cache")
    assert not (tmp_path / "cache").exists()


@pytest.mark.parametrize("damage", [b"", b"{}", b"\n{}", b"0" * 64 + b'\n{"openapi": "3.0.0"}'])
def test_what_was_damaged_is_passed_over_and_mended(tmp_path: Path, damage: bytes) -> None:
    path, cache = write(tmp_path, api_yaml=LARGE), tmp_path / "cache"
    first = read_description(path, cache=cache)
    (kept,) = cache.iterdir()
    whole = kept.read_bytes()
    kept.write_bytes(damage)
    assert read_description(path, cache=cache) == first
    assert kept.read_bytes() == whole


def test_a_place_where_nothing_can_be_kept_changes_nothing(tmp_path: Path) -> None:
    path = write(tmp_path, api_yaml=LARGE)
    (tmp_path / "cache").write_bytes(b"a file")
    assert read_description(path, cache=tmp_path / "cache").title == "T"


def test_what_is_kept_does_not_grow_without_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "_MAX_KEPT", 3)
    for number in range(6):
        read_description(write(tmp_path, api_yaml=f"{LARGE}# {number}\n"), cache=tmp_path / "cache")
    assert len(list((tmp_path / "cache").iterdir())) == 3


def test_the_limits_are_those_that_are_documented() -> None:
    assert (files.MAX_FILE_BYTES, files.MAX_BYTES, files.MAX_FILES) == (32 * 2**20, 64 * 2**20, 5_000)
    assert text.MAX_DEPTH == 200
