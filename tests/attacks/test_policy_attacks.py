"""What somebody would try to get round policy, and how it ends."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from remit.errors import ResultWithheld
from remit.policy.obligations import Redaction
from remit.policy.redaction import redacted
from remit.policy.rego import RegoEngine
from support.path import Path, permit_with
from support.policy import answering, engine

pytestmark = pytest.mark.anyio

KEY = b"k" * 32


def policy_of(body: str) -> RegoEngine:
    return engine(f"package remit.authz\nimport rego.v1\n{body}\n")


def redacting(*pointers: str, mode: str = "remove") -> str:
    listed = ", ".join(f'"{pointer}"' for pointer in pointers)
    return permit_with("redact_result", f'{{"pointers": [{listed}], "mode": "{mode}"}}')


# ── redaction ────────────────────────────────────────────────────────────────────────────

#: More than the 64 KiB that a tool gives back.
LONG = [{"id": number, "tax": f"zq-tax-{number}", "pad": "x" * 200} for number in range(500)]


@pytest.mark.parametrize("mode", ["remove", "mask", "hash"])
async def test_asking_for_so_much_that_the_list_is_cut_hides_no_less(mode: str) -> None:
    result = (await Path(answering(redacting("/*/tax", mode=mode)), httpx.Response(200, json=LONG)).call()).result
    assert result.truncated
    assert result.data["truncated"] is True
    assert len(result.data["items"]) > 100
    assert "zq-tax" not in result.text + str(result.data)


async def test_asking_for_so_much_that_the_list_is_cut_is_denied_all_the_same() -> None:
    policy = policy_of("""
decision := {"allow": count(taxed) == 0}
taxed := [item | item := input.result.data[_]; item.tax]
""")
    with pytest.raises(ResultWithheld):
        await Path(policy, httpx.Response(200, json=LONG)).call()


@pytest.mark.parametrize(
    ("pointers", "left"),
    [
        (["/0", "/1"], [3, 4]),
        (["/1", "/0", "/1"], [3, 4]),
        (["/*"], []),
        (["/0", "/0", "/3"], [2, 3]),
    ],
)
def test_removing_one_item_of_a_list_moves_no_other_out_of_a_pointers_way(pointers: list[str], left: Any) -> None:
    steps = tuple((pointer[1:],) for pointer in pointers)
    assert redacted([1, 2, 3, 4], [Redaction(steps, "remove")], KEY) == left
    assert redacted([1, 2, 3, 4], [Redaction((step,), "remove") for step in steps], KEY) == left


def test_what_was_removed_does_not_come_back_as_a_mask_or_hash() -> None:
    first = Redaction((("a", "0"),), "remove")
    for mode in ("mask", "hash"):
        again = redacted({"a": ["zq", 2]}, [first, Redaction((("a", "0"),), mode)], KEY)
        assert again == {"a": [2]}
    whole = redacted({"a": ["zq", 2]}, [first, Redaction((("a",),), "hash")], KEY)
    assert whole == redacted({"a": [2]}, [Redaction((("a",),), "hash")], KEY)
