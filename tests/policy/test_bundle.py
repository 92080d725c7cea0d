from __future__ import annotations

import gzip
import json
import tarfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from remit.errors import PolicyInvalid
from remit.policy import archive
from remit.policy.bundle import AUTHZ, STANDARD, Bundle, load_policy, write_bundle
from remit.policy.signature import Signatures
from support.bundles import member, needs_opa, opa, packed, says
from support.policy import SAMPLE, question

MODULE = "package remit.authz\nimport rego.v1\n"


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    (tmp_path / "policy").mkdir()
    (tmp_path / "policy" / "authz.rego").write_text(MODULE)
    return tmp_path / "policy"


def refused(path: Path, **options: Any) -> PolicyInvalid:
    """Why this cannot be loaded."""
    with pytest.raises(PolicyInvalid) as caught:
        load_policy(path, **options)
    return caught.value


# ── folders ──────────────────────────────────────────────────────────────────────────────


def test_modules_below_the_directory_are_found_and_tests_are_kept_apart(directory: Path) -> None:
    (directory / "lib").mkdir()
    (directory / "lib" / "time.rego").write_text("package lib")
    (directory / "authz_test.rego").write_text("package remit.authz_test")
    bundle = load_policy(directory)
    assert list(bundle.modules) == ["authz.rego", "lib/time.rego"]
    assert dict(bundle.tests) == {"authz_test.rego": "package remit.authz_test"}
    assert bundle.data == {}


def test_hidden_files_and_folders_are_passed_over(directory: Path) -> None:
    (directory / "..2026_11_22").mkdir()
    (directory / "..2026_11_22" / "authz.rego").write_text(MODULE)
    (directory / ".draft.rego").write_text("package draft")
    assert list(load_policy(directory).modules) == ["authz.rego"]


def test_data_may_be_json_or_yaml_and_give_the_same_revision(directory: Path) -> None:
    (directory / "data.json").write_text('{"roles": {"lead": ["a"]}, "limit": 5}')
    from_json = load_policy(directory)
    (directory / "data.json").unlink()
    (directory / "data.yaml").write_text("limit: 5\nroles:\n  lead: [a]\n")
    from_yaml = load_policy(directory)
    assert from_json.data == from_yaml.data == {"roles": {"lead": ["a"]}, "limit": 5}
    assert from_json.revision == from_yaml.revision


def test_any_change_but_to_tests_changes_the_revision(directory: Path) -> None:
    revisions = {load_policy(directory).revision}
    (directory / "authz.rego").write_text(MODULE + "# a comment")
    revisions.add(load_policy(directory).revision)
    (directory / "data.json").write_text("{}")
    (directory / "authz.rego").rename(directory / "other.rego")
    revisions.add(load_policy(directory).revision)
    (directory / "data.json").write_text('{"limit": 6}')
    revisions.add(load_policy(directory).revision)
    (directory / "other_test.rego").write_text("package remit.other_test")
    revisions.add(load_policy(directory).revision)
    assert len(revisions) == 4


def no_policy(directory: Path) -> None:
    (directory / "authz.rego").unlink()


def no_utf8(directory: Path) -> None:
    (directory / "authz.rego").write_bytes(b"\xff")


def no_package(directory: Path) -> None:
    (directory / "authz.rego").write_text("# package remit.authz\nallow := true\n")


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
        (no_package, "authz.rego"),
        (too_large, "authz.rego"),
        (too_many, ""),
        (two_data_files, "data.yaml"),
        (data('{\n "a": }'), "data.json:2:7"),
        (data('{"a": 1, "a": 2}'), "data.json"),
        (data('{"a": NaN}'), "data.json"),
        (data('{"a": 1e999}'), "data.json"),
        (data('{"a": 18446744073709551616}'), "data.json"),
        (data('{"a": "\\ud800"}'), "data.json"),
        (data("[" * 100_000), "data.json"),
        (data('{"a": ' + "[" * 101 + "]" * 101 + "}"), "data.json"),
        (data("[1]"), "data.json"),
        (bad_yaml, "data.yaml:2:1"),
    ],
    ids=lambda value: getattr(value, "__name__", value) or "directory",
)
def test_a_directory_that_is_no_policy_is_refused_by_name(
    directory: Path, spoil: Callable[[Path], None], file: str
) -> None:
    spoil(directory)
    assert refused(directory).where == str(directory / file)


def test_a_policy_that_is_not_there_is_refused(tmp_path: Path) -> None:
    assert refused(tmp_path / "nowhere").where == str(tmp_path / "nowhere")


# ── what comes with the product ──────────────────────────────────────────────────────────


def test_a_policy_of_its_own_is_only_that(directory: Path) -> None:
    assert list(load_policy(directory).modules) == ["authz.rego"]


def test_rules_beside_the_standard_ones_bring_the_standard_policy_along(directory: Path) -> None:
    (directory / "authz.rego").write_text("package remit.rules\nimport rego.v1\n")
    assert list(load_policy(directory).modules) == ["authz.rego", STANDARD, AUTHZ]


def test_tables_alone_are_a_policy(directory: Path) -> None:
    (directory / "authz.rego").unlink()
    (directory / "data.yaml").write_text("roles: {}\n")
    assert list(load_policy(directory).modules) == [STANDARD, AUTHZ]


def test_a_policy_may_ask_the_standard_one(directory: Path) -> None:
    (directory / "authz.rego").write_text(MODULE + "decision := data.remit.standard.decision\n")
    assert list(load_policy(directory).modules) == ["authz.rego", STANDARD]


def test_a_flaw_in_the_tables_is_told_where_it_stands(directory: Path) -> None:
    (directory / "authz.rego").unlink()
    (directory / "data.yaml").write_text("roles:\n  lead:\n    orders: [7]\nagents: 5\n")
    error = refused(directory)
    assert error.where.startswith(str(directory / "data.yaml:"))
    assert error.where.split(":")[-2] in ("3", "4")
    assert "data.yaml:3:" in error.detail
    assert "data.yaml:4:" in error.detail


def test_a_flaw_in_the_tables_of_a_bundle_is_told_in_the_file_that_has_it(tmp_path: Path) -> None:
    files = {
        "remit_data/roles/data.json": '{\n\t"lead": {"orders": [7]}\n}',
        "remit_data/data.yaml": "agents: {}\nroles: {}\n",
    }
    path = packed(tmp_path / "b.tar.gz", files)
    assert refused(path).where.startswith(str(path / "remit_data/roles/data.json:2:"))


@pytest.mark.parametrize("package", ["remit.standard", "remit.governed"])
def test_the_products_own_packages_are_not_to_be_defined(directory: Path, package: str) -> None:
    (directory / "mine.rego").write_text(f"# mine\npackage {package}\n")
    assert refused(directory).where == str(directory / "mine.rego")


def test_the_products_own_names_are_not_to_be_taken(directory: Path) -> None:
    (directory / "remit").mkdir()
    (directory / "remit" / "standard.rego").write_text("package elsewhere")
    error = refused(directory)
    assert error.where == str(directory / "remit" / "standard.rego")
    assert "under remit/" in error.message


# ── bundles ──────────────────────────────────────────────────────────────────────────────

GOOD: dict[str, str | bytes] = {
    ".manifest": '{"revision": "r-7", "roots": ["remit", "remit_data", "lib"], "metadata": {"any": 1}}',
    "authz.rego": MODULE,
    "lib/words.rego": "package lib.words\n",
    "authz_test.rego": "package remit.authz_test\n",
    "data.json": '{"remit_data": {"limit": 5, "roles": {"intern": []}}}',
    "remit_data/roles/data.yaml": "lead: [a]\n",
    "remit_data/names/data.yml": "- alice\n",
    "README.md": "What nobody reads.",
    "notes.json": "{not even JSON",
}


def test_a_bundle_has_modules_tests_and_data_that_lies_where_its_files_do(tmp_path: Path) -> None:
    bundle = load_policy(packed(tmp_path / "b.tar.gz", GOOD))
    assert sorted(bundle.modules) == ["authz.rego", "lib/words.rego"]
    assert list(bundle.tests) == ["authz_test.rego"]
    assert bundle.data == {"limit": 5, "roles": {"intern": [], "lead": ["a"]}, "names": ["alice"]}
    assert bundle.revision.startswith("r-7@")


@pytest.mark.parametrize("first", ["/", "./"])
def test_a_first_slash_or_dot_means_nothing(tmp_path: Path, first: str) -> None:
    usual = load_policy(packed(tmp_path / "usual.tar.gz", GOOD))
    other = load_policy(packed(tmp_path / "other.tar.gz", {first + name: text for name, text in GOOD.items()}))
    assert says(usual) == says(other)


def changed(**files: str | bytes | None) -> dict[str, str | bytes]:
    """``GOOD`` with other files; ``None`` takes one out. ``__`` stands for a slash, and ``data_json`` for its dot."""
    names = {name.replace("__", "/").replace("_json", ".json").replace("manifest", ".manifest"): name for name in files}
    merged = {**GOOD, **{file: files[name] for file, name in names.items()}}
    return {name: content for name, content in merged.items() if content is not None}


@pytest.mark.parametrize(
    ("files", "where", "words"),
    [
        (changed(data_json='{"elsewhere": {"a": 1}}', manifest=None), "data.json:1:15", "outside of remit_data"),
        (changed(data_json='{"remit_data": [1]}'), "remit_data/names/data.yml", "two data files say"),
        (changed(data_json='{"remit_data": {"names": 1}}'), "remit_data/names/data.yml", "two data files say"),
        (changed(data_json="[]"), "data.json", "not an object"),
        (changed(elsewhere__data_json="{}", manifest=None), "elsewhere/data.json:1:1", "outside of remit_data"),
        (changed(manifest='{"roots": ["remit", "lib"]}'), ".manifest", "roots do not allow some of its data"),
        (changed(manifest='{"roots": ["remit_data", "remit"]}'), ".manifest", "do not allow one of its modules"),
        (changed(manifest='{"roots": ["remit_data", "remitt", "lib"]}'), ".manifest", "do not allow one of its"),
        (changed(manifest='{"roots": ["lib", "remit/authz", "remit/"]}'), ".manifest", "roots overlap"),
        (changed(manifest='{"roots": "remit"}'), ".manifest", "roots cannot be used"),
        (changed(manifest='{"revision": 7}'), ".manifest", "revision cannot be used"),
        (changed(manifest='{"revision": "a\\nb"}'), ".manifest", "revision cannot be used"),
        (changed(manifest=json.dumps({"revision": "r" * 101})), ".manifest", "revision cannot be used"),
        (changed(manifest='{"rego_version": 0}'), ".manifest", "version 1 of Rego"),
        (changed(manifest='{"rego_version": true}'), ".manifest", "version 1 of Rego"),
        (changed(manifest='{"file_rego_versions": {"/lib/*": 0}}'), ".manifest", "version 1 of Rego"),
        (changed(manifest='{"file_rego_versions": []}'), ".manifest", "version 1 of Rego"),
        (changed(manifest='{"wasm": [{"entrypoint": "a"}]}'), ".manifest", "WebAssembly"),
        (changed(manifest='{"revision": "a", "revision": "b"}'), ".manifest", "cannot be read"),
        (changed(manifest="[]"), ".manifest", "not an object"),
        ({**GOOD, "policy.wasm": b""}, "policy.wasm", "not used here"),
        ({**GOOD, "plan.json": b""}, "plan.json", "not used here"),
        ({**GOOD, "patch.json": b"{}"}, "patch.json", "not used here"),
        ({**GOOD, ".manifest.pb": b""}, ".manifest.pb", "not used here"),
        ({**GOOD, "lib/.manifest": b"{}"}, "lib/.manifest", "not used here"),
        ({**GOOD, "remit/authz.rego": "package remit.other"}, "remit/authz.rego", "under remit/"),
    ],
)
def test_a_bundle_that_cannot_be_used_is_refused_by_the_file(
    tmp_path: Path, files: dict[str, str | bytes], where: str, words: str
) -> None:
    error = refused(packed(tmp_path / "b.tar.gz", files))
    assert words in error.message
    assert error.where == str(tmp_path / "b.tar.gz" / where)


@pytest.mark.parametrize(
    "name",
    ["../authz.rego", "a/../b.rego", "//etc/x", "a//b", "a/./b", "a\\b.rego", "a\nb.rego", "\udcff.rego", "n" * 257],
)
def test_a_name_that_misleads_is_refused(tmp_path: Path, name: str) -> None:
    error = refused(packed(tmp_path / "b.tar.gz", GOOD, member(name)))
    assert "not a plain relative path" in error.message


@pytest.mark.parametrize("name", ["authz.rego", "./authz.rego", "AUTHZ.rego", "auth\uff5a.rego"])
def test_two_files_of_one_name_are_refused(tmp_path: Path, name: str) -> None:
    assert "two files of one name" in refused(packed(tmp_path / "b.tar.gz", GOOD, member(name))).message


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE, b"S"])
def test_what_is_not_a_plain_file_is_refused(tmp_path: Path, kind: bytes) -> None:
    error = refused(packed(tmp_path / "b.tar.gz", GOOD, member("more.rego", kind, "authz.rego")))
    assert "plain file" in error.message or "broken" in error.message


def test_an_archive_is_bounded_in_size_in_members_and_in_what_it_expands_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "b.tar.gz"
    packed(path, {**GOOD, **{f"{number}.txt": "" for number in range(archive.MAX_MEMBERS)}})
    assert "members" in refused(path).message
    with gzip.open(path, "wb", compresslevel=1) as stream:
        for _ in range(1 + archive.MAX_EXPANDED_BYTES // 1_000_000):
            stream.write(bytes(1_000_000))
    assert path.stat().st_size < 1_000_000
    assert "when it is unpacked" in refused(path).message
    path.write_bytes(bytes(archive.MAX_ARCHIVE_BYTES + 1))
    assert "larger than" in refused(path).message


@given(st.data())
@settings(max_examples=60)
def test_a_broken_archive_is_refused_and_nothing_worse(tmp_path_factory: pytest.TempPathFactory, data: Any) -> None:
    path = tmp_path_factory.getbasetemp() / "broken.tar.gz"
    whole = bytearray(gzip.decompress(packed(path, GOOD).read_bytes()))
    for _ in range(data.draw(st.integers(1, 4))):
        whole[data.draw(st.integers(0, 4000))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(whole)))
    path.write_bytes(gzip.compress(bytes(whole[:cut]), compresslevel=1))
    with suppress(PolicyInvalid):  # not every change is one that matters
        load_policy(path)


def test_only_signed_bundles_are_used_where_that_is_required(tmp_path: Path, directory: Path) -> None:
    required = Signatures(required=True)
    assert "not signed" in refused(packed(tmp_path / "b.tar.gz", GOOD), signatures=required).message
    assert "folder" in refused(directory, signatures=required).message


# ── writing ──────────────────────────────────────────────────────────────────────────────

NAMES = st.text("abcdefghij_", min_size=1, max_size=8).filter(lambda name: name not in ("_", "as", "if", "in"))
VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), inner, max_size=3)
    ),
    max_leaves=10,
)


@given(
    st.dictionaries(NAMES, st.tuples(NAMES, st.text("x \n#ü", max_size=20)), max_size=3),
    st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), VALUES, max_size=4),
)
@settings(max_examples=60)
def test_what_was_written_is_read_again(
    tmp_path_factory: pytest.TempPathFactory, modules: dict[str, tuple[str, str]], data: dict[str, Any]
) -> None:
    path = tmp_path_factory.getbasetemp() / "round.tar.gz"
    sources = {f"{name}.rego": f"package {package}\n# {comment!r}\n" for name, (package, comment) in modules.items()}
    bundle = Bundle.of({**sources, "remit.rego": MODULE}, data, tests={"a_test.rego": "package a"}, label="r 1")
    write_bundle(bundle, path)
    read = load_policy(path)
    assert says(read) == says(bundle)
    assert read.tests == {}
    before = path.read_bytes()
    write_bundle(read, path)
    assert path.read_bytes() == before


def test_a_bundle_with_the_products_own_modules_is_read_again(tmp_path: Path, directory: Path) -> None:
    (directory / "authz.rego").write_text("package remit.rules\nimport rego.v1\n")
    bundle = load_policy(directory)
    write_bundle(bundle, tmp_path / "b.tar.gz")
    assert says(load_policy(tmp_path / "b.tar.gz")) == says(bundle)


@needs_opa
def test_opa_decides_the_same_with_what_was_written_and_reads_it_as_it_is(tmp_path: Path) -> None:
    path, asked = tmp_path / "b.tar.gz", tmp_path / "input.json"
    bundle = load_policy(SAMPLE)
    write_bundle(bundle, path)
    assert bundle.revision in opa("inspect", str(path))
    for name in ("get_orders", "get_hr"):
        asked.write_text(json.dumps(question(name).document()))
        said = opa("eval", "-b", str(path), "-i", str(asked), "-f", "raw", "data.remit.authz.decision.allow")
        assert json.loads(said) is (name == "get_orders")


@needs_opa
def test_what_opa_builds_of_a_folder_is_read(tmp_path: Path) -> None:
    (tmp_path / "p").mkdir()
    packed(tmp_path / "b.tar.gz", {name: text for name, text in GOOD.items() if name != "notes.json"})
    with tarfile.open(tmp_path / "b.tar.gz") as opened:
        opened.extractall(tmp_path / "p", filter="data")
    opa("build", "-b", ".", "-o", "../built.tar.gz", cwd=tmp_path / "p")
    built = load_policy(tmp_path / "built.tar.gz")
    assert built.data == load_policy(tmp_path / "b.tar.gz").data
    assert sorted(built.modules) == ["authz.rego", "lib/words.rego"]
    assert built.revision.startswith("r-7@")
