"""A workspace of the sample company with a trail of calls that were never made, and other policies to replay them under."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from remit.app.policy import load_bundle
from remit.app.replaying import Replayed, replay
from remit.app.wiring import load_tools
from remit.audit.store.sqlite import SqliteStore
from remit.audit.trail import Trail
from remit.catalog.document import read_document
from remit.credential import Credential
from remit.demo.workspace import write_workspace
from remit.errors import ApprovalRequired, RemitError
from remit.permission.fitness import check_sign_in, wanted_by
from remit.policy.decision import Decision
from remit.policy.input import Question
from remit.policy.inputs import InputKeeper
from remit.policy.obligations import Demands
from remit.policy.rego import RegoEngine
from remit.settings import Settings, load_settings
from support.clock import FakeClock
from support.policy import NOW, question

#: An engine may be let go in the thread that made it alone.
_KEPT: list[RegoEngine] = []
Change = Callable[[dict[str, Any]], None]


class Workspace:
    """A workspace of the sample company, and its trail."""

    def __init__(self, folder: Path) -> None:
        write_workspace(folder)
        self.folder = folder
        self.settings = load_settings(folder / "remit.yaml")
        self.settings.state_dir.mkdir(exist_ok=True)
        self.tools = load_tools(self.settings).catalog.tools

    def refund(self, amount: int, **changes: Any) -> Question:
        arguments = {"order_id": "O1001", "amount": amount, "reason": "late"}
        return self.asked("refund_order", arguments, **changes)

    def asked(self, tool: str, arguments: dict[str, Any], **changes: Any) -> Question:
        return question(tool=self.tools[tool], **{"arguments": arguments, **changes})

    def remember(
        self, *asked: Question, keeper: InputKeeper | None = None, policy: Settings | None = None, now: float = NOW
    ) -> None:
        """Have these decided about by a policy (default: the one in force), and recorded like calls."""
        engine = RegoEngine(load_bundle(policy or self.settings, (policy or self.settings).policy.path), FakeClock())
        _KEPT.append(engine)

        async def main() -> None:
            store = SqliteStore(self.settings.audit_file)
            trail = Trail(store, FakeClock(now))
            for each in asked:
                decision = await engine.decide(each.document())
                await record(trail, each, decision, keeper or InputKeeper("redacted"))
            store.close()

        asyncio.run(main())

    def write(self, *records: dict[str, Any]) -> None:
        """Have these stand in the trail, whatever they are."""

        async def main() -> None:
            store = SqliteStore(self.settings.audit_file)
            for number, each in enumerate(records):
                await store.append({"call_id": f"CALL{number}", "kind": "intent", "time_ms": NOW * 1000, **each})
            store.close()

        asyncio.run(main())

    def with_tables(self, change: Change) -> Settings:
        """The settings with a policy whose tables are those of the sample company, changed."""
        tables = read_document((self.settings.policy.path / "data.yaml").read_text("utf-8")).data
        change(tables)
        return self.with_files({"data.json": json.dumps(tables)})

    def with_policy(self, text: str) -> Settings:
        return self.with_files({"authz.rego": f"package remit.authz\n\nimport rego.v1\n\n{text}"})

    def with_files(self, files: dict[str, str]) -> Settings:
        folder = self.folder / f"policy-{sum(1 for _ in self.folder.glob('policy-*'))}"
        folder.mkdir()
        for name, content in files.items():
            (folder / name).write_text(content, "utf-8")
        return self.settings.model_copy(
            update={"policy": self.settings.policy.model_copy(update={"path": folder.absolute()})}
        )

    def replay(
        self, under: Settings | None = None, *keys: Credential, since: float = 0, settings: Settings | None = None
    ) -> Replayed:
        used = settings or self.settings
        return asyncio.run(replay(used, under or used, keys, since, FakeClock(), lambda _done, _total: None))


async def record(trail: Trail, asked: Question, decision: Decision, keeper: InputKeeper) -> None:
    """What the bridge records of a call until it is sent."""
    call = trail.record(door="mcp-http", tool=asked.tool.name, arguments=asked.arguments)
    with suppress(RemitError):
        async with call as record:
            record.identified(asked.principal, asked.acting)
            record.found(asked.tool)
            record.decided(decision, keeper.keep(asked.document(), decision.input_digest))
            demands = Demands.of(decision.require_permit().obligations)
            check_sign_in(asked.principal, demands.step_ups, asked.now)
            if demands.approvals and asked.approval.state != "approved":
                raise ApprovalRequired("wait", approval_id="A1", by_user=True, expires_at=NOW, question="Allow it?")
            await record.intend(wanted_by(asked.tool))
