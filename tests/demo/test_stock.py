"""The sample company's warehouse API: pages, labels, reservations, counts."""

from __future__ import annotations

import struct
import zlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from remit.demo.label import ALPHABET, label
from support.sample_apis import Company, problem, running

pytestmark = pytest.mark.anyio

SHEET = b"sku,quantity\r\nLMP-21,100\r\nCBL-02,0\r\n"
FORM = {"warehouse": "berlin", "counted_on": "2026-11-20"}


class Stock:
    """The API, with a token that may do everything there."""

    def __init__(self, company: Company, token: str) -> None:
        self.company = company
        self._headers = {"Authorization": f"Bearer {token}"}

    async def get(self, path: str) -> httpx.Response:
        return await self.company.http.get(f"{self.company.stock}{path}", headers=self._headers)

    async def post(self, path: str, *, key: str = "", **content: Any) -> httpx.Response:
        headers = {**self._headers, **({"Idempotency-Key": key} if key else {})}
        return await self.company.http.post(f"{self.company.stock}{path}", headers=headers, **content)

    async def reserve(self, sku: str = "DSK-160", *, key: str = "", **changes: Any) -> httpx.Response:
        body = {"warehouse": "berlin", "quantity": 2, **changes}
        return await self.post(f"/stock/{sku}/reservations", key=key, json=body)

    async def release(self, reservation: str) -> httpx.Response:
        return await self.company.http.delete(f"{self.company.stock}/reservations/{reservation}", headers=self._headers)

    async def count(self, file: bytes = SHEET, **changes: str) -> httpx.Response:
        files = {"counts": ("counts.csv", file, "text/csv")}
        return await self.post("/counts", data={**FORM, **changes}, files=files)

    async def available(self, sku: str, warehouse: str) -> int:
        levels = (await self.get(f"/stock/{sku}")).json()["levels"]
        return next(int(level["available"]) for level in levels if level["warehouse"] == warehouse)


@pytest.fixture
async def stock(tmp_path: Path) -> AsyncIterator[Stock]:
    async with running(tmp_path) as company:
        yield Stock(company, await company.token("stock-api", "stock:read stock:write"))


# ── reading ────────────────────────────────────────────────────────────────────────────


async def test_lists_have_commas_between_their_words(stock: Stock) -> None:
    found = (await stock.get("/stock?sku=LMP-21,CBL-02&warehouse=porto")).json()
    assert [(level["sku"], level["on_hand"]) for level in found["levels"]] == [("CBL-02", 38), ("LMP-21", 2)]
    assert found["next_cursor"] is None


async def test_what_runs_out_is_found(stock: Stock) -> None:
    found = (await stock.get("/stock?below=3")).json()["levels"]
    assert {level["sku"] for level in found} == {"DRW-03", "DSK-160", "LMP-21", "PWR-65"}
    assert all(level["available"] < 3 for level in found)


async def test_pages_together_are_the_whole_list(stock: Stock) -> None:
    whole = (await stock.get("/stock")).json()
    seen, query = [], "limit=4"
    while True:
        page = (await stock.get(f"/stock?{query}")).json()
        assert 1 <= len(page["levels"]) <= 4
        seen += page["levels"]
        if page["next_cursor"] is None:
            break
        query = f"limit=4&cursor={page['next_cursor']}"
    assert whole["next_cursor"] is None
    assert seen == whole["levels"]


@pytest.mark.parametrize(
    "query",
    ["sku=", "sku=lmp", "sku=LMP-21&sku=CBL-02", "warehouse=oslo", "below=0", "below=x", "cursor=x", "limit=51"],
)
async def test_a_query_that_makes_no_sense_is_refused(stock: Stock, query: str) -> None:
    assert problem(await stock.get(f"/stock?{query}")) == (422, "value_invalid")


async def test_an_article_is_shown_with_its_levels(stock: Stock) -> None:
    found = (await stock.get("/stock/DSK-160")).json()
    assert (found["title"], found["available"], len(found["levels"])) == ("Standing desk, oak", 8, 3)
    assert problem(await stock.get("/stock/DSK-999")) == (404, "sku_unknown")


async def test_the_count_sheet_is_what_a_count_takes_back(stock: Stock) -> None:
    sheet = await stock.get("/warehouses/porto/count-sheet")
    assert sheet.headers["content-type"] == "text/csv; charset=utf-8"
    changes = (await stock.count(sheet.content, warehouse="porto")).json()["changes"]
    assert len(changes) == 7
    assert all(change["before"] == change["after"] for change in changes)
    assert problem(await stock.get("/warehouses/oslo/count-sheet")) == (404, "warehouse_unknown")


# ── labels ─────────────────────────────────────────────────────────────────────────────

#: Of the standard, wide bars and spaces marked: bar, space, bar …
CODE_39 = {"*": "nwnnwnwnn", "L": "nnwnnnnww", "M": "wnwnnnnwn", "P": "nnwnwnnwn", "-": "nwnnnnwnw", "2": "nnwwnnnnw"}


async def test_a_label_is_a_picture_of_the_number_as_a_barcode(stock: Stock) -> None:
    answer = await stock.get("/stock/LMP-21/label?scale=3")
    assert answer.headers["content-type"] == "image/png"
    rows = pixels(answer.content)
    assert len(set(rows)) == 1
    runs = rows[0].strip("1").replace("01", "0 1").replace("10", "1 0").split()
    characters = [runs[at : at + 9] for at in range(0, len(runs), 10)]
    widths = ["".join("n" if len(run) == 3 else "w" for run in character) for character in characters]
    assert widths[:5] == [CODE_39[character] for character in "*LMP-"]
    assert widths[5] == CODE_39["2"]
    assert widths[-1] == CODE_39["*"]


def pixels(png: bytes) -> list[str]:
    """The rows of a picture with one bit per pixel, its chunks checked."""
    assert png.startswith(b"\x89PNG\r\n\x1a\n")
    chunks, at = {}, 8
    while at < len(png):
        (length,) = struct.unpack(">I", png[at : at + 4])
        kind, data = png[at + 4 : at + 8], png[at + 8 : at + 8 + length]
        assert struct.unpack(">I", png[at + 8 + length : at + 12 + length]) == (zlib.crc32(kind + data),)
        chunks[kind], at = data, at + 12 + length
    width, height, depth, kind_of_color = struct.unpack(">IIBB", chunks[b"IHDR"][:10])
    assert (list(chunks)[-1], depth, kind_of_color) == (b"IEND", 1, 0)
    raw = zlib.decompress(chunks[b"IDAT"])
    stride = 1 + -(-width // 8)
    assert len(raw) == stride * height
    rows = [raw[at + 1 : at + stride] for at in range(0, len(raw), stride)]
    return ["".join(f"{byte:08b}" for byte in row)[:width] for row in rows]


@pytest.mark.parametrize("character", ALPHABET[:-1])
def test_each_character_has_bars_of_its_own(character: str) -> None:
    others = [label(other, 1) for other in ALPHABET[:-1] if other != character]
    assert label(character, 1) not in others


# ── reservations ───────────────────────────────────────────────────────────────────────


async def test_what_is_reserved_is_not_available_until_it_is_released(stock: Stock) -> None:
    made = await stock.reserve(order_id="O1003")
    assert made.status_code == 201
    assert await stock.available("DSK-160", "berlin") == 3
    shown = (await stock.get(f"/reservations/{made.json()['id']}")).json()
    assert shown == made.json()
    assert (shown["reserved_by"], shown["order_id"], shown["quantity"]) == ("alice", "O1003", 2)
    assert (await stock.release(shown["id"])).status_code == 204
    assert await stock.available("DSK-160", "berlin") == 5
    assert problem(await stock.release(shown["id"])) == (404, "reservation_unknown")
    assert problem(await stock.get(f"/reservations/{shown['id']}")) == (404, "reservation_unknown")


async def test_more_than_is_there_cannot_be_reserved(stock: Stock) -> None:
    assert problem(await stock.reserve(quantity=6)) == (409, "stock_too_low")
    assert await stock.available("DSK-160", "berlin") == 5


async def test_the_same_key_and_body_reserve_once(stock: Stock) -> None:
    first, again = await stock.reserve(key="k1"), await stock.reserve(key="k1")
    assert first.json() == again.json()
    assert await stock.available("DSK-160", "berlin") == 3
    assert problem(await stock.reserve(key="k1", quantity=1)) == (409, "idempotency_key_reused")


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"quantity": 0}, "value_invalid"),
        ({"quantity": 100_001}, "value_invalid"),
        ({"quantity": "2"}, "body_invalid"),
        ({"warehouse": "oslo"}, "value_invalid"),
        ({"order_id": "1"}, "value_invalid"),
        ({"order_id": None}, "body_invalid"),
        ({"note": "x"}, "body_invalid"),
    ],
)
async def test_a_reservation_that_makes_no_sense_is_refused(stock: Stock, changes: dict[str, Any], code: str) -> None:
    assert problem(await stock.reserve(**changes)) == (422, code)


# ── counts ─────────────────────────────────────────────────────────────────────────────


async def test_a_count_replaces_what_was_thought_to_be_there(stock: Stock) -> None:
    answer = (await stock.count()).json()
    changes = [{"sku": "LMP-21", "before": 130, "after": 100}, {"sku": "CBL-02", "before": 412, "after": 0}]
    assert answer == {**FORM, "recorded_by": "alice", "changes": changes}
    assert await stock.available("LMP-21", "berlin") == 100
    assert await stock.available("LMP-21", "lyon") == 84


async def test_a_count_is_taken_whole_or_not_at_all(stock: Stock) -> None:
    await stock.reserve("CBL-02")
    assert problem(await stock.count()) == (409, "count_below_reserved")
    assert problem(await stock.count(b"sku,quantity\r\nLMP-21,1\r\nXXX-00,1\r\n")) == (404, "sku_unknown")
    assert await stock.available("LMP-21", "berlin") == 130


@pytest.mark.parametrize(
    "file",
    [
        b"",
        b"sku,quantity\r\n",
        b"sku;quantity\r\nLMP-21;1\r\n",
        b"sku,quantity\r\nLMP-21\r\n",
        b"sku,quantity\r\nLMP-21,-1\r\n",
        b"sku,quantity\r\nLMP-21,1\r\nLMP-21,2\r\n",
        b'sku,quantity\r\n"LMP-21,1\r\n',
        b"sku,quantity\r\nLMP-21,\x001\r\n",
        b"\xff\xfe",
        b"sku,quantity\r\n" + b"\r\n" * 600,
    ],
)
async def test_a_file_that_is_no_count_is_refused(stock: Stock, file: bytes) -> None:
    assert problem(await stock.count(file)) == (422, "counts_invalid")


async def test_a_form_that_is_not_as_described_is_refused(stock: Stock) -> None:
    assert problem(await stock.count(counted_on="20261120")) == (422, "value_invalid")
    assert problem(await stock.count(warehouse="oslo")) == (422, "value_invalid")
    assert problem(await stock.count(note="x")) == (422, "body_invalid")
    assert problem(await stock.post("/counts", data=FORM)) == (415, "unsupported_media_type")
    as_text = {"warehouse": (None, b"berlin"), "counted_on": (None, b"2026-11-20"), "counts": (None, SHEET)}
    assert problem(await stock.post("/counts", files=as_text)) == (422, "body_invalid")
    assert problem(await stock.count(b"x" * 20_000)) == (413, "body_too_large")


@pytest.mark.parametrize(
    "body", [b"", b"--x", b"--x\r\n\r\n\r\n--x--", b'--x\r\nContent-Disposition: form-data; name="a']
)
@pytest.mark.parametrize("content_type", ["multipart/form-data", "multipart/form-data; boundary=x"])
async def test_a_form_that_is_none_is_refused(stock: Stock, content_type: str, body: bytes) -> None:
    headers = {"Content-Type": content_type, **stock._headers}
    answer = await stock.company.http.post(f"{stock.company.stock}/counts", content=body, headers=headers)
    assert answer.status_code in {400, 422}


# ── who is let in ──────────────────────────────────────────────────────────────────────


async def test_who_may_only_read_changes_nothing(stock: Stock) -> None:
    reading = Stock(stock.company, await stock.company.token("stock-api", "stock:read"))
    for answer in (await reading.reserve(), await reading.release("V5001"), await reading.count()):
        assert problem(answer) == (403, "insufficient_scope")
    other = Stock(stock.company, await stock.company.token("orders-api", "stock:read"))
    assert problem(await other.get("/stock")) == (401, "invalid_token")
