"""A policy worker that does what each document says: gives it back, or what no worker should do.

``python odd_worker.py [MARK]``: where the file MARK exists it ends at once, so that a test can stop new ones.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Final

from remit.policy.frames import ANSWERED, HEAD, MAX_ANSWER, UNDECIDED, frame

SCRIPT: Final = Path(__file__)


def command(mark: Path | None = None) -> tuple[str, ...]:
    """What starts one."""
    return (sys.executable, "-P", str(SCRIPT), *([str(mark)] if mark else []))


def misdeed(number: int, document: str) -> bytes:
    """What is sent to it."""
    misdeeds = {
        "garbage": b"\xff" * 64,
        "another's number": frame(number + 1, ANSWERED + b"{}"),
        "an old number": frame(number - 1, ANSWERED + b"{}"),
        "neither": frame(number, b"?{}"),
        "nothing in it": frame(number, b""),
        "too long": HEAD.pack(MAX_ANSWER + 1, number),
        "twice": frame(number, ANSWERED + b"{}") + frame(number, ANSWERED + b'{"allow": true}'),
        "undecided": frame(number, UNDECIDED + b"says why"),
    }
    return misdeeds.get(document, frame(number, ANSWERED + document.encode()))


def main() -> None:
    """Answer until there is nothing more to answer."""
    if len(sys.argv) > 1 and Path(sys.argv[1]).exists():
        sys.exit(1)
    source, sink = sys.stdin.buffer, sys.stdout.buffer
    while len(head := source.read(HEAD.size)) == HEAD.size:
        length, number = HEAD.unpack(head)
        document = source.read(length).decode()
        if number == 0:
            sink.write(frame(0, json.dumps({"done": None}).encode()))
        elif document == "half":
            sink.write(frame(number, ANSWERED + b"{}" * 100)[:50])
            sink.flush()
            sys.exit()
        elif document == "end":
            sys.exit(3)
        elif document.startswith("wait "):
            time.sleep(float(document.removeprefix("wait ")))
            sink.write(frame(number, ANSWERED + document.encode()))
        else:
            sink.write(misdeed(number, document))
        sink.flush()


if __name__ == "__main__":
    main()
