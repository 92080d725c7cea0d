"""A curl command is read as curl would understand it, and what proves who is calling goes no further."""

from __future__ import annotations

import contextlib
import shlex

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remit.catalog.curl import CurlInvalid, Part, read_curl

URL = "https://api.example.com/v1/orders"


@pytest.mark.parametrize(
    ("command", "method", "url", "body"),
    [
        (f"curl {URL}", "GET", URL, None),
        (f"curl -sSL -o /dev/null {URL}", "GET", URL, None),
        ("curl api.example.com/x", "GET", "https://api.example.com/x", None),
        (f"curl -XDELETE {URL}/7", "DELETE", f"{URL}/7", None),
        (f"curl --request put {URL} -d ''", "PUT", URL, ""),
        (f"curl -d a=1 --data b=2 {URL}", "POST", URL, "a=1&b=2"),
        (f"curl -G -d a=1 --data-urlencode 'q=b c&d' {URL}", "GET", f"{URL}?a=1&q=b%20c%26d", None),
        (f"curl -G {URL}?x=1 -d a=1", "GET", f"{URL}?x=1&a=1", None),
        (f"curl -I {URL}", "HEAD", URL, None),
        (f"curl {URL} \\\n  -H 'Accept: */*' \\\r\n  --data-raw '@is text'", "POST", URL, "@is text"),
        (f"curl --json '{{\"a\": 1}}' {URL}", "POST", URL, '{"a": 1}'),
        (rf"curl {URL} --data-raw $'it\'s \u00e9\n\x41'", "POST", URL, "it's é\nA"),
        ("curl 'https://[::1]:8443/x#part'", "GET", "https://[::1]:8443/x", None),
        (f"/usr/bin/curl --url {URL}", "GET", URL, None),
    ],
)
def test_what_it_would_send(command: str, method: str, url: str, body: str | None) -> None:
    request = read_curl(command)
    assert (request.method, request.url, request.body) == (method, url, body)
    assert request.proofs == ()


def test_headers_and_parts() -> None:
    request = read_curl(f"curl -H 'X-Tenant:acme' -H 'Accept:' -F a=b -F 'file=@x/y.pdf;type=application/pdf' {URL}")
    assert request.headers == (("X-Tenant", "acme"),)
    assert request.parts == (Part("a", "b", is_file=False), Part("file", "x/y.pdf", is_file=True))
    assert request.method == "POST"
    assert read_curl(f"curl --json '1' {URL}").header("content-type") == "application/json"


@pytest.mark.parametrize(
    ("command", "told"),
    [
        (f"curl -u ann:s3cretword {URL}", "the value of -u"),
        (f"curl -uann:s3cretword {URL}", "the value of -u"),
        (f"curl --oauth2-bearer s3cretword {URL}", "the value of --oauth2-bearer"),
        (f"curl -H 'authorization: Bearer s3cretword' {URL}", "the header Authorization"),
        (f"curl -H 'Cookie: sid=s3cretword' {URL}", "the header Cookie"),
        (f"curl -b sid=s3cretword {URL}", "the value of -b"),
        (f"curl --cert s3cretword {URL}", "the value of --cert"),
        ("curl https://ann:s3cretword@api.example.com/v1/orders", "the user and password in the URL"),
    ],
)
def test_what_proves_who_calls_is_told_by_name_alone(command: str, told: str) -> None:
    request = read_curl(command)
    assert request.proofs == (told,)
    assert request.url == URL
    assert "s3cretword" not in f"{request.headers} {request.body} {request.url} {request!r}"


@pytest.mark.parametrize(
    ("command", "why"),
    [
        ("wget https://x", "does not begin with curl"),
        ("", "does not begin with curl"),
        ("curl", "there is no URL"),
        (f"curl {URL} {URL}", "more than one URL"),
        (f"curl {URL} -d", "-d has no value"),
        (f"curl {URL} -d 'x", "a quote is open"),
        (f"curl {URL} -d @file", "names a file"),
        (f"curl {URL} --json @file", "names a file"),
        (f"curl {URL} --data-urlencode a@file", "names a file"),
        (f"curl {URL} -F a=<file", "names a file"),
        (f"curl {URL} -K file", "names a file"),
        (f"curl {URL} --frobnicate=s3cret", "--frobnicate is no option"),
        (f"curl {URL} | jq .", "is for the shell"),
        (f"curl {URL} && rm x", "is for the shell"),
        ("curl ftp://x/y", "not one of http or https"),
        ("curl https://[x/y", "cannot be read"),
        ("curl https://x:99999/y", "cannot be read"),
        ("curl " + "x " * 40_000, "longer than"),
        ("curl " + "-s " * 600, "more than 500 words"),
    ],
)
def test_what_cannot_be_understood_is_refused(command: str, why: str) -> None:
    with pytest.raises(CurlInvalid, match=why) as refused:
        read_curl(command)
    assert "s3cret" not in str(refused.value)


@given(st.text(max_size=60))
def test_nothing_but_a_refusal_comes_of_nonsense(text: str) -> None:
    for command in (text, f"curl {text}", f"curl {shlex.quote(text)}"):
        with contextlib.suppress(CurlInvalid):
            read_curl(command)


@given(st.text(min_size=1, max_size=40).filter(lambda text: not text.startswith("@")))
def test_data_arrives_as_it_was_quoted(text: str) -> None:
    assert read_curl(f"curl {URL} -d {shlex.quote(text)}").body == text.replace("\\\r\n", " ").replace("\\\n", " ") or (
        "$'" in text
    )
