"""What the measurements come to: figures, ratios, and whether a target is reached. Arithmetic only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from statistics import median, quantiles
from typing import Any, Final

from bench.load import Volley

#: Steps that have a target, in microseconds.
VERIFY_SEEN: Final = "verify a token seen before"
VERIFY_NEW: Final = "verify a new token, ES256"
CHECK_PROOF: Final = "check a DPoP proof, ES256"
_STEP_LIMITS: Final = {VERIFY_SEEN: 30.0, VERIFY_NEW: 500.0, CHECK_PROOF: 500.0}


@dataclass(frozen=True, slots=True)
class Served:
    """One server under one load. Latencies in milliseconds, CPU of the server per call in microseconds."""

    server: str
    era: str
    clients: int
    calls: int
    per_second: float
    p50_ms: float
    p99_ms: float
    cpu_us: float

    @classmethod
    def of(cls, server: str, era: str, volleys: Sequence[Volley]) -> Served:
        """Latencies over all rounds; throughput and CPU as the median round has them, which noise moves least."""
        latencies = sorted(latency for volley in volleys for latency in volley.latencies)
        return cls(
            server=server,
            era=era,
            clients=volleys[0].clients,
            calls=len(latencies),
            per_second=median(len(volley.latencies) / volley.elapsed for volley in volleys),
            p50_ms=median(latencies) * 1e3,
            p99_ms=quantiles(latencies, n=100)[98] * 1e3,
            cpu_us=median(volley.cpu / len(volley.latencies) for volley in volleys) * 1e6,
        )


@dataclass(frozen=True, slots=True)
class Ratio:
    """Remit over the bare SDK under the same load: the median of the rounds' own ratios.

    Both servers of a round meet the same moment of the machine, so noise that comes and goes cancels out.
    """

    era: str
    clients: int
    per_second: float
    p50: float
    p99: float
    cpu: float

    @classmethod
    def of(cls, era: str, bare: Sequence[Volley], remit: Sequence[Volley]) -> Ratio:
        """``bare`` and ``remit`` hold the same rounds in the same order."""
        rounds = [
            (Served.of("", era, [one]), Served.of("", era, [other])) for one, other in zip(bare, remit, strict=True)
        ]
        return cls(
            era=era,
            clients=bare[0].clients,
            per_second=median(other.per_second / one.per_second for one, other in rounds),
            p50=median(other.p50_ms / one.p50_ms for one, other in rounds),
            p99=median(other.p99_ms / one.p99_ms for one, other in rounds),
            cpu=median(other.cpu_us / one.cpu_us for one, other in rounds),
        )


@dataclass(frozen=True, slots=True)
class Step:
    """What one step costs, in microseconds: its median duration, and the CPU it takes on average."""

    name: str
    wall_us: float
    cpu_us: float

    @classmethod
    def of(cls, name: str, laps: Sequence[tuple[float, float]]) -> Step:
        """From laps of (wall, CPU) seconds."""
        return cls(name, median(wall for wall, _ in laps) * 1e6, sum(cpu for _, cpu in laps) / len(laps) * 1e6)


@dataclass(frozen=True, slots=True)
class Rate:
    """How often something can be done. ``cpu_us``: of the process that does it, each time."""

    name: str
    per_second: float
    cpu_us: float


@dataclass(frozen=True, slots=True)
class Target:
    """A figure that must stay at or below ``limit``."""

    name: str
    value: float
    limit: float
    unit: str

    @property
    def reached(self) -> bool:
        """Whether it does."""
        return self.value <= self.limit


@dataclass(frozen=True, slots=True)
class Memory:
    """Resident memory, in MiB."""

    server: str
    started: float
    loaded: float


@dataclass(frozen=True, slots=True)
class Listed:
    """A list of so many tools: for a caller for the first time and again, in milliseconds for all pages together.

    Resident memory of the process that serves, without those that evaluate policy, before and after, in MiB.
    """

    tools: int
    first_ms: float
    again_ms: float
    started: float
    loaded: float


@dataclass(frozen=True, slots=True)
class Soak:
    """Resident memory in MiB after so many calls; the caches are full after the first quarter."""

    calls: int
    memory: list[float]

    @property
    def growth(self) -> float:
        """MiB between the first quarter and the end."""
        return self.memory[-1] - self.memory[len(self.memory) // 4]


@dataclass(frozen=True, slots=True)
class Lap:
    """One round of decisions, in seconds: how long it was, and how long each took."""

    elapsed: float
    latencies: list[float]


@dataclass(frozen=True, slots=True)
class Decided:
    """Decisions by one engine, as the median round has them. Latencies in milliseconds."""

    engine: str
    policy: str
    callers: int
    decisions: int
    per_second: float
    p50_ms: float
    p99_ms: float

    @classmethod
    def of(cls, engine: str, policy: str, callers: int, laps: Sequence[Lap]) -> Decided:
        """From all rounds."""
        return cls(
            engine=engine,
            policy=policy,
            callers=callers,
            decisions=sum(len(lap.latencies) for lap in laps),
            per_second=median(len(lap.latencies) / lap.elapsed for lap in laps),
            p50_ms=median(median(lap.latencies) for lap in laps) * 1e3,
            p99_ms=median(quantiles(lap.latencies, n=100)[98] for lap in laps) * 1e3,
        )


@dataclass(slots=True)
class Results:
    """Everything measured in one run."""

    served: list[Served] = field(default_factory=list)
    ratios: list[Ratio] = field(default_factory=list)
    memory: list[Memory] = field(default_factory=list)
    steps: list[Step] = field(default_factory=list)
    rates: list[Rate] = field(default_factory=list)
    decided: list[Decided] = field(default_factory=list)
    longest_wait: float = 0.0
    help_seconds: float = 0.0
    ready_seconds: float = 0.0
    listed: Listed | None = None
    soak: Soak | None = None
    decision_soak: Soak | None = None

    def targets(self) -> list[Target]:
        """What must be reached, beside what was."""
        targets = [
            *map(_target, self.ratios),
            *self._decision_targets(),
            *(
                Target(step.name, step.wall_us, _STEP_LIMITS[step.name], "µs")
                for step in self.steps
                if step.name in _STEP_LIMITS
            ),
            Target("remit serve ready, 1,000 tools", self.ready_seconds, 2.0, "s"),
            Target("remit --help", self.help_seconds, 0.4, "s"),
        ]
        if self.listed:
            tools = f"{self.listed.tools:,} tools"
            targets.append(Target(f"tools/list again, {tools}", self.listed.again_ms, 50.0, "ms"))
            targets.append(Target(f"memory of remit serve, {tools}", self.listed.loaded, 150.0, "MiB"))
        if self.soak:
            targets.append(Target(f"memory growth over {self.soak.calls:,} calls", self.soak.growth, 4.0, "MiB"))
        if self.decision_soak:
            soak = self.decision_soak
            targets.append(Target(f"memory growth over {soak.calls:,} decisions", soak.growth, 5.0, "MiB"))
        return targets

    def _decision_targets(self) -> list[Target]:
        """Those of the embedded engine, which is measured first; the last policy is the one with the large table."""
        if not self.decided:
            return []
        small, *_ = embedded = [each for each in self.decided if each.engine == self.decided[0].engine]
        ratio = embedded[-1].p50_ms / small.p50_ms
        return [
            Target(f"median of a decision, {small.callers} callers", small.p50_ms, 0.35, "ms"),
            Target(f"p99 of a decision, {small.callers} callers", small.p99_ms, 1.0, "ms"),
            Target(f"median with {embedded[-1].policy}", ratio, 2.0, "x"),
            Target("longest wait beside a policy without end", self.longest_wait * 1e3, 300, "ms"),
        ]

    def document(self) -> dict[str, Any]:
        """For programs."""
        targets = [{**asdict(target), "reached": target.reached} for target in self.targets()]
        return {**asdict(self), "targets": targets}


def _target(ratio: Ratio) -> Target:
    """CPU per call is judged where clients compete, latency where one is alone."""
    if ratio.clients == 1:
        return Target(f"median latency, {ratio.era}, 1 client", ratio.p50, 3.0, "x bare")
    return Target(f"server CPU per call, {ratio.era}, {ratio.clients} clients", ratio.cpu, 2.5, "x bare")
