"""``python -m bench``: remit beside the bare MCP SDK. Exits with 0 whatever the ratios, unless something failed.

Rounds alternate between the servers, so that whatever else the machine does meets both. The load generator runs in
this process; every server, and the API that remit calls, in one of its own: CPU per call is the server's and that of
the processes it starts, while throughput and latency are of everything together on this machine.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import json
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urlencode

from yarl import URL

from bench import decisions, listing, startup, steps
from bench.child import Child
from bench.figures import Memory, Rate, Ratio, Results, Served, Soak
from bench.load import HANDSHAKE, MODERN, Shot, Volley, fire, fire_times, session, tool_call
from bench.report import console, print_report
from bench.server import CONSTANT
from bench.workspace import make_workspace
from remit import logs, oauth
from remit.app.wiring import App, running
from remit.settings import load_settings

_CLIENTS: Final = (1, 16)
_ORDER: Final = (b'"id":"O1001"', b'"remit/audit_id"')
_MIB: Final = 1 << 20
_SOAK_SAMPLES: Final = 20


@dataclass(frozen=True, slots=True)
class Effort:
    """How long to measure."""

    rounds: int
    seconds: float
    steps: int
    starts: int
    cuts: int


_FULL: Final = Effort(rounds=20, seconds=0.5, steps=1000, starts=5, cuts=20)
_QUICK: Final = Effort(rounds=3, seconds=0.4, steps=150, starts=1, cuts=2)


@dataclass(frozen=True, slots=True)
class Lane:
    """One server, one era: what is fired and who answers."""

    name: str
    era: str
    server: Child
    shot: Shot


async def measure(folder: Path, effort: Effort, soak: int) -> Results:
    """Everything, in one run."""
    results = Results()
    company = folder / "company"
    make_workspace(company)
    with Child("bare") as bare, Child("remit", str(company)) as remit, Child("orders", str(company)):
        started = [bare.usage().memory, remit.usage().memory]
        await _measure_calls(_lanes(bare, remit), effort, results)
        loaded = [bare.usage().memory, remit.usage().memory]
        pairs = zip(("bare", "remit"), started, loaded, strict=True)
        results.memory = [Memory(name, before / _MIB, after / _MIB) for name, before, after in pairs]
        async with running(load_settings(company / "remit.yaml"), serving=True) as app:
            results.steps = await steps.measure_steps(app, effort.steps)
            results.rates = await _measure_exchange(app, remit, effort)
        if soak:
            results.soak = await _soak(_lanes(bare, remit)[1], soak)
    results.decided = await decisions.measure_decisions(folder, effort.rounds, effort.seconds)
    results.longest_wait = await decisions.longest_wait(effort.cuts)
    if soak:
        results.decision_soak = await decisions.soak(soak)
    results.help_seconds = startup.help_seconds(effort.starts)
    startup.make_large(folder / "large")
    results.ready_seconds = startup.ready_seconds(folder / "large", effort.starts)
    results.listed = await listing.measure_lists(folder / "large", effort.rounds)
    return results


def _lanes(bare: Child, remit: Child) -> list[Lane]:
    token = remit.ready["token"]
    constant = (CONSTANT.encode(),)
    return [
        lane
        for era in (MODERN, HANDSHAKE)
        for lane in (
            Lane("bare", era, bare, tool_call(bare.ready["url"], era, constant)),
            Lane("remit", era, remit, tool_call(remit.ready["url"], era, _ORDER, token)),
        )
    ]


async def _measure_calls(lanes: Sequence[Lane], effort: Effort, results: Results) -> None:
    volleys: dict[tuple[str, int, str], list[Volley]] = {}
    async with session() as http:
        for lane in lanes:
            await fire_times(http, lane.shot, clients=max(_CLIENTS), times=100)
        for _ in range(effort.rounds):
            for clients in _CLIENTS:
                for lane in lanes:
                    volley = await fire(http, lane.shot, lane.server, clients=clients, seconds=effort.seconds)
                    volleys.setdefault((lane.era, clients, lane.name), []).append(volley)
    results.served = [Served.of(name, era, rounds) for (era, _, name), rounds in volleys.items()]
    results.ratios = [
        Ratio.of(era, volleys[era, clients, "bare"], rounds)
        for (era, clients, name), rounds in volleys.items()
        if name == "remit"
    ]


async def _measure_exchange(app: App, remit: Child, effort: Effort) -> list[Rate]:
    async with session() as http:
        shot = await _exchange_shot(app, remit)
        await fire_times(http, shot, clients=4, times=20)
        volley = await fire(http, shot, remit, clients=max(_CLIENTS), seconds=effort.seconds)
    calls = len(volley.latencies)
    return [
        Rate(f"exchange over HTTP, {volley.clients} clients", calls / volley.elapsed, volley.cpu / calls * 1e6),
        await steps.exchange_rate(app, effort.seconds),
        await steps.signature_rate(effort.seconds),
    ]


async def _exchange_shot(app: App, remit: Child) -> Shot:
    """An exchange as the agent runner would ask for it over HTTP: its own token as actor token."""
    secret = (app.settings.state_dir / "secrets" / "agent-runner").read_text(encoding="ascii")
    parts = app.bridge._parts  # noqa: SLF001  the runner's own token is had nowhere else
    caller = await parts.subjects.identify(steps.token_of(remit.ready["token"]))
    actor = (await parts.actors.resolve(caller.principal)).token
    form = {
        "grant_type": oauth.GRANT_TOKEN_EXCHANGE,
        "subject_token": remit.ready["token"],
        "subject_token_type": oauth.TOKEN_TYPE_ACCESS_TOKEN,
        "audience": "orders-api",
        "scope": "orders:read",
    }
    if actor is not None:
        form |= {"actor_token": actor.reveal(), "actor_token_type": oauth.TOKEN_TYPE_ACCESS_TOKEN}
    basic = base64.b64encode(f"agent-runner:{secret}".encode()).decode()
    headers = {"Authorization": f"Basic {basic}", "Content-Type": "application/x-www-form-urlencoded"}
    url = URL(f"{remit.ready['issuer']}/oauth2/token")
    return Shot(url, headers, urlencode(form).encode(), (b'"access_token"',))


async def _soak(lane: Lane, calls: int) -> Soak:
    async with session() as http:
        memory = [lane.server.usage().memory / _MIB]
        for _ in range(_SOAK_SAMPLES):
            await fire_times(http, lane.shot, clients=max(_CLIENTS), times=calls // _SOAK_SAMPLES)
            memory.append(lane.server.usage().memory / _MIB)
    return Soak(calls, memory)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m bench", description="remit beside the bare MCP SDK, in one run")
    parser.add_argument("--quick", action="store_true", help="about 20 seconds; the figures are rougher")
    parser.add_argument("--json", action="store_true", help="one JSON document instead of tables")
    parser.add_argument(
        "--soak", type=int, default=0, metavar="N", help="make N more calls, and N decisions, and watch the memory"
    )
    options = parser.parse_args()
    logs.configure("error")
    with tempfile.TemporaryDirectory(prefix="remit-bench-") as folder:
        results = asyncio.run(measure(Path(folder), _QUICK if options.quick else _FULL, options.soak))
    if options.json:
        sys.stdout.write(json.dumps(results.document(), indent=2) + "\n")
    else:
        print_report(results, console())


if __name__ == "__main__":
    main()
