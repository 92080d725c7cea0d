"""What reaches the log of an operator."""

from __future__ import annotations

import logging

import pytest
import structlog

from remit.logs import configure


@pytest.fixture(autouse=True)
def _logging_as_before() -> object:
    root = logging.getLogger()
    before = (root.handlers[:], root.level)
    yield
    root.handlers[:], root.level = before
    structlog.reset_defaults()


def _send() -> None:
    raise ValueError("Bearer hunter2")


def _fail() -> None:
    try:
        _send()
    except ValueError as error:
        raise RuntimeError("while sending hunter2") from error


@pytest.mark.parametrize("style", ["json", "text"])
def test_an_exception_is_logged_by_kind_and_place_and_never_by_its_text(
    style: str, capsys: pytest.CaptureFixture[str]
) -> None:
    configure("info", style)
    try:
        _fail()
    except RuntimeError:
        structlog.get_logger().exception("ours")
        logging.getLogger("library").exception("theirs")
    out, err = capsys.readouterr()
    assert out == ""
    assert "hunter2" not in err
    for kind in ("ours", "theirs", "RuntimeError", "ValueError", "test_logs.py:"):
        assert kind in err


def test_libraries_speak_up_only_for_warnings(capsys: pytest.CaptureFixture[str]) -> None:
    configure("debug", "json")
    logging.getLogger("library").info("chatter")
    structlog.get_logger().debug("ours")
    err = capsys.readouterr().err
    assert "chatter" not in err
    assert "ours" in err
