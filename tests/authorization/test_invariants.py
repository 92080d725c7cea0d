"""What holds over any sequence of uses."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Final

from hypothesis import given, settings
from hypothesis import strategies as st

from remit.authorization.authorizations import Lifetimes
from support.authorization import ALICE, APP, World, claims, code_form, refresh_form

NAMES: Final = ("a", "b", "c", "d")
SUBSETS: Final = st.sets(st.sampled_from(NAMES)).map(lambda chosen: tuple(sorted(chosen)))
SMALL: Final = settings(max_examples=25, deadline=None)


@contextmanager
def a_world(lifetimes: Lifetimes | None = None) -> Iterator[World]:
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as directory:
        world = World(Path(directory), lifetimes=lifetimes or Lifetimes())
        try:
            yield world
        finally:
            world.close()


@SMALL
@given(granted=SUBSETS, steps=st.lists(st.tuples(SUBSETS, SUBSETS, SUBSETS), max_size=6))
def test_no_refresh_gives_more_than_was_given_asked_for_and_is_still_theirs(
    granted: tuple[str, ...], steps: list[tuple[tuple[str, ...], ...]]
) -> None:
    """Whatever the person and the client may have in between."""
    with a_world() as world:
        world.people.people["alice"] = replace(ALICE, scopes=NAMES)
        answer = world.redeem(world.code(scopes=granted))
        assert set(claims(answer).get("scope", "").split()) == set(granted)
        token = answer.json()["refresh_token"]
        for asked, of_person, of_client in steps:
            world.people.people["alice"] = replace(ALICE, scopes=of_person)
            world.clients.clients["app"] = replace(APP, scopes=of_client)
            answer = world.refresh(token, scope=" ".join(asked))
            if answer.status_code != 200:
                continue
            given_now = set(claims(answer).get("scope", "").split())
            assert given_now <= set(granted) & set(of_person) & set(of_client or NAMES) & set(asked or NAMES)
            token = answer.json()["refresh_token"]


@SMALL
@given(waits=st.lists(st.integers(0, 400), max_size=8))
def test_no_token_outlives_its_authorization_and_none_is_issued_after_its_end(waits: list[int]) -> None:
    with a_world(Lifetimes(access=100, idle=300, absolute=1000)) as world:
        answer, begun = world.signed_in(), int(world.clock.now())
        last = begun
        for seconds in waits:
            said = claims(answer)
            assert said["exp"] <= begun + 1000
            assert said["exp"] - said["iat"] == answer.json()["expires_in"] <= 100
            world.clock.advance(seconds)
            now = int(world.clock.now())
            answer = world.refresh(answer.json()["refresh_token"])
            assert (answer.status_code == 200) == (seconds < 300 and now < begun + 1000), (last, now)
            if answer.status_code != 200:
                break
            last = now


@SMALL
@given(uses=st.lists(st.integers(0, 5), min_size=1, max_size=10))
def test_once_a_token_was_used_twice_its_family_gives_nothing_ever_again(uses: list[int]) -> None:
    """Uses any token of the family, old or new, in any order."""
    with a_world() as world:
        tokens = [world.signed_in().json()["refresh_token"]]
        used: set[str] = set()
        dead = False
        for choice in uses:
            token = tokens[choice % len(tokens)]
            answer = world.refresh(token)
            dead = dead or token in used
            assert (answer.status_code == 200) is not dead
            used.add(token)
            if answer.status_code == 200:
                tokens.append(answer.json()["refresh_token"])


@settings(max_examples=10, deadline=None)
@given(processes=st.integers(1, 3), each=st.integers(1, 4), code=st.booleans())
def test_of_many_uses_at_once_at_most_one_comes_through(processes: int, each: int, code: bool) -> None:
    with a_world() as world:
        worlds = [world, *(world.another_process() for _ in range(processes - 1))]
        form = code_form(world.code()) if code else refresh_form(world.signed_in().json()["refresh_token"])

        async def main() -> list[int]:
            answers = await asyncio.gather(*(one.send(form) for one in worlds for _ in range(each)))
            return [answer.status_code for answer in answers]

        statuses = asyncio.run(main())
        assert statuses.count(200) == 1
        assert set(statuses) <= {200, 400}
        for other in worlds[1:]:
            other.close()


CHILD: Final = """
import sys
from pathlib import Path
from support.authorization import World, code_form
world = World(Path(sys.argv[1]))
print("ready", flush=True)
form = code_form(sys.stdin.readline().strip())
print(world.post(form).status_code, flush=True)
world.close()
"""


def test_of_two_real_processes_that_bring_one_code_one_gets_something(tmp_path: Path) -> None:
    world = World(tmp_path)
    code = world.code()
    command = [sys.executable, "-c", CHILD, str(tmp_path)]
    path = {"PYTHONPATH": str(Path(__file__).parent.parent)}
    children = [_started(command, path) for _ in range(2)]
    for child in children:
        assert child.stdout is not None
        assert child.stdout.readline().strip() == "ready"
    for child in children:
        assert child.stdin is not None
        child.stdin.write(f"{code}\n")
        child.stdin.flush()
    statuses = sorted(child.communicate(timeout=30)[0].strip() for child in children)
    world.close()
    assert statuses == ["200", "400"]


def _started(command: list[str], more: dict[str, str]) -> subprocess.Popen[str]:
    pipe = subprocess.PIPE
    return subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, env={**os.environ, **more})
