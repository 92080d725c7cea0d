"""Door: a process that does one thing with a policy, ``python -m remit.policy.worker``.

It reads no file and no setting: what to do comes over standard input (``remit.policy.frames``), and whatever it says
goes to standard output. It ends when its input does, or when an evaluation takes far too long though nobody ends it.
It imports little, so that it starts fast.
"""

from __future__ import annotations

import faulthandler
import gc
import json
import os
import signal
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, BinaryIO, Final

from remit.errors import PolicyInvalid
from remit.policy.evaluator import Evaluator, Undecided
from remit.policy.frames import ANSWERED, HEAD, MAX_ANSWER, UNDECIDED, frame

#: Far more than a policy needs; without a bound one that runs away takes what the machine has.
_MAX_MEMORY: Final = 4 * 1024**3
_BUFFER: Final = 64 * 1024


class _Pipe:
    """Frames with the process that started this one."""

    def __init__(self, source: BinaryIO, sink: BinaryIO) -> None:
        self._source = source
        self._sink = sink

    def receive(self) -> tuple[int, bytes] | None:
        """The next frame; ``None`` where there will be none."""
        head = self._source.read(HEAD.size)
        if len(head) < HEAD.size:
            return None
        length, number = HEAD.unpack(head)
        body = self._source.read(length)
        return (number, body) if len(body) == length else None

    def send(self, number: int, body: bytes) -> None:
        """At once: who asked may end this process over the next question, and then has the answer to this one."""
        self._sink.write(frame(number, body))
        self._sink.flush()


def main() -> None:
    """Do what the first frame orders."""
    pipe = _isolated()
    received = pipe.receive()
    if received is None:
        return
    order = json.loads(received[1])
    try:
        _TASKS[order["task"]](order, pipe)
    except PolicyInvalid as error:
        refused = {"message": error.message, "where": error.where, "detail": error.detail, "hint": error.hint}
        pipe.send(0, json.dumps({"refused": refused}).encode())


# ── tasks ────────────────────────────────────────────────────────────────────────────────


def _decide(order: Mapping[str, Any], pipe: _Pipe) -> None:
    """Load the policy, say how that went, then answer until there are no more documents."""
    _light(order["load_seconds"])
    seconds = order["decide_seconds"]
    evaluator = Evaluator(order["modules"], order["data"])
    answers = evaluator.try_out(order["trials"])
    loaded = {"entry": evaluator.entry, "codes": evaluator.codes, "answers": answers}
    del order, answers
    gc.collect()
    gc.freeze()  # what is loaded stays
    _light(0)
    pipe.send(0, json.dumps({"done": loaded}).encode())
    while received := pipe.receive():
        number, document = received
        _light(seconds)
        answer = _answer(evaluator, document)
        _light(0)
        pipe.send(number, answer)


def _answer(evaluator: Evaluator, document: bytes) -> bytes:
    try:
        answer = evaluator.answer(document.decode()).encode()
    except Undecided as error:
        return UNDECIDED + str(error).encode()
    if len(answer) >= MAX_ANSWER:
        return UNDECIDED + f"the decision is larger than {MAX_ANSWER} bytes".encode()
    return ANSWERED + answer


def _tests(order: Mapping[str, Any], pipe: _Pipe) -> None:
    """Run the policy's own tests (``remit.policy.testing``)."""
    from remit.policy.contents import Bundle  # noqa: PLC0415  decisions need neither
    from remit.policy.testing import run_tests  # noqa: PLC0415

    bundle = Bundle(order["modules"], order["data"], tests=order["tests"])
    report = run_tests(bundle, coverage=order.get("coverage", False), pattern=order.get("pattern", ""))
    pipe.send(0, json.dumps({"done": report.document()}).encode())


def _review(order: Mapping[str, Any], pipe: _Pipe) -> None:
    """Say everything that is wrong with the policy (``remit.policy.review``)."""
    from remit.policy.contents import Bundle  # noqa: PLC0415  as above
    from remit.policy.review import review  # noqa: PLC0415

    bundle = Bundle(order["modules"], order["data"], tests=order["tests"])
    pipe.send(0, json.dumps({"done": review(bundle).document()}).encode())


def _reach(order: Mapping[str, Any], pipe: _Pipe) -> None:
    """Say which lines a decision reaches (``remit.policy.reach``)."""
    from remit.policy.reach import reached  # noqa: PLC0415  as above

    coverage = reached(order["modules"], order["data"], order["document"])
    pipe.send(0, json.dumps({"done": coverage.document()}).encode())


_TASKS: Final[Mapping[str, Callable[[Mapping[str, Any], _Pipe], None]]] = {
    "decide": _decide,
    "tests": _tests,
    "review": _review,
    "reach": _reach,
}


# ── a process apart ──────────────────────────────────────────────────────────────────────


def _isolated() -> _Pipe:
    """Nothing but frames on the pipes, no core dump, and no end but by the process that started this one."""
    for name in ("RUST_BACKTRACE", "RUST_LIB_BACKTRACE"):
        os.unsetenv(name)
    for number in (signal.SIGINT, signal.SIGTERM):  # meant for the process that started this one, which still decides
        signal.signal(number, signal.SIG_IGN)
    _bound_memory()
    source, sink = os.fdopen(os.dup(0), "rb", _BUFFER), os.fdopen(os.dup(1), "wb", _BUFFER)
    nowhere = os.open(os.devnull, os.O_RDWR)
    os.dup2(nowhere, 0)
    os.dup2(nowhere, 1)
    return _Pipe(source, sink)


def _bound_memory() -> None:
    if sys.platform == "win32":
        return
    import resource  # noqa: PLC0415  there is none on Windows

    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    _, most = resource.getrlimit(resource.RLIMIT_AS)
    if most == resource.RLIM_INFINITY or most > _MAX_MEMORY:
        with suppress(ValueError, OSError):  # macOS does not always take it
            resource.setrlimit(resource.RLIMIT_AS, (_MAX_MEMORY, most))


def _light(seconds: float) -> None:
    """End this process in so many seconds, 0: not any more. Works while the engine holds the interpreter lock."""
    if sys.platform != "win32":
        signal.setitimer(signal.ITIMER_REAL, seconds)  # nobody handles SIGALRM, so it kills
    elif seconds:
        faulthandler.dump_traceback_later(seconds, exit=True)
    else:
        faulthandler.cancel_dump_traceback_later()


if __name__ == "__main__":
    main()
