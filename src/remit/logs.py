"""Structured logs on standard error, never on standard output (which is the protocol's on stdio).

An exception is logged by its kind and its places, not by its text: a library may have put a credential there.
"""

from __future__ import annotations

import logging
import os
import sys
import traceback
from collections.abc import Iterator, MutableMapping
from typing import Any, Final

import structlog

_MAX_FRAMES: Final = 12


def configure(level: str = "info", style: str = "auto") -> None:
    """Set up logging for the process. ``style``: ``text``, ``json``, or ``auto`` (text on a terminal)."""
    threshold = logging.getLevelNamesMapping()[level.upper()]
    as_json = style == "json" or (style == "auto" and not sys.stderr.isatty())
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _places_of_exception,
    ]
    renderer: Any = (
        structlog.processors.JSONRenderer() if as_json else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    )
    structlog.configure(
        processors=[*shared, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(threshold),
        logger_factory=structlog.PrintLoggerFactory(file=sys.stderr),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(sys.stderr)
    meta = structlog.stdlib.ProcessorFormatter.remove_processors_meta
    handler.setFormatter(structlog.stdlib.ProcessorFormatter(foreign_pre_chain=shared, processors=[meta, renderer]))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    # Libraries speak up only for what an operator should see.
    root.setLevel(max(threshold, logging.WARNING))


def kind_and_place(error: BaseException) -> str:
    """``KeyError in request.py:57``, from the innermost frame: all that is told of what nobody foresaw."""
    frames = traceback.extract_tb(error.__traceback__)
    place = f" in {_file(frames[-1].filename)}:{frames[-1].lineno}" if frames else ""
    return f"{type(error).__qualname__}{place}"


def _file(path: str) -> str:
    return path.replace(os.sep, "/").rpartition("/")[2]


def _places_of_exception(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """``exc_info`` → ``exception``: the kinds and places, causes last, without the text of any."""
    told = event.pop("exc_info", None)
    if told is True:
        told = sys.exc_info()
    error = told[1] if isinstance(told, tuple) else told
    if isinstance(error, BaseException):
        event["exception"] = ", because of ".join(_described(error))
    return event


def _described(error: BaseException | None) -> Iterator[str]:
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        frames = traceback.extract_tb(error.__traceback__)[-_MAX_FRAMES:]
        places = (f"{_file(frame.filename)}:{frame.lineno}" for frame in frames)
        yield f"{type(error).__module__}.{type(error).__qualname__} at {' > '.join(places)}"
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
