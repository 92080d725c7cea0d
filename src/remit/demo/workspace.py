"""Door: writes a workspace: settings, tools, descriptions of APIs, policy, and secrets made for it.

The same files serve `remit init` and `remit demo`, so what the demo plays is what a newcomer edits.
"""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Iterator
from importlib import resources
from pathlib import Path
from typing import Final

from remit.errors import StateInvalid

Ports = tuple[int, int, int, int]

#: Where the sample company's servers listen when nobody says otherwise: MCP and token service, orders, payments, stock.
PORTS: Final[Ports] = (8700, 8701, 8702, 8703)

#: The clients that the settings register, each with a secret of its own.
CLIENTS: Final = ("agent-runner", "orders-api", "client-frontend", "api-gateway", "orders-service")

_SETTINGS: Final = """\
# remit.yaml: one file for everything; `remit check` reads it without starting anything.
version: 1
listen: 127.0.0.1:{mcp}
state_dir: .remit            # keys, audit trail; readable by you alone
tools: [tools]
policy: policy
variables:                   # fill ${{NAME}} in tool files; the environment wins
  ORDERS_URL: http://127.0.0.1:{orders}
  PAYMENTS_URL: http://127.0.0.1:{payments}
  STOCK_URL: http://127.0.0.1:{stock}

agent:                       # the agent runner: who acts for the user, the `act` of every token
  client_id: agent-runner
  client_secret: {{file: .remit/secrets/agent-runner}}
  acting: caller             # a client that the user signs in through is the agent, and this the next link of `act`

sign_in:                     # people sign in here, and say what a client may do for them
  enabled: true
  scopes:                    # in words for whoever is asked
    orders:read: See orders and their customers
    refunds:write: Refund orders
    payments:read: See payments
    payments:refund: Have the money of a refund paid back
    stock:read: See what is in the warehouses
    stock:write: Reserve pieces and record counts

exchange:
  service: embedded          # or `remote`: any RFC 8693 token endpoint

sts:                         # the embedded security token service
  clients:
    agent-runner:
      name: Agent runner
      secret: {{file: .remit/secrets/agent-runner}}
      targets:
        - {{audience: orders-api, scopes: [orders:read, refunds:write, payments:refund], max_lifetime: 2m}}
        - {{audience: payments-api, scopes: [payments:read], max_lifetime: 2m}}
        - {{audience: stock-api, scopes: [stock:read, stock:write], max_lifetime: 2m}}
    orders-api:              # the orders service exchanges what it got to call payments
      name: Orders service
      secret: {{file: .remit/secrets/orders-api}}
      targets:
        - {{audience: payments-api, scopes: [payments:refund], max_lifetime: 1m}}
    # Services that call services with nobody signed in: in the `workload` profile each caller becomes `sub`.
    client-frontend:
      secret: {{file: .remit/secrets/client-frontend}}
      targets: [{{audience: orchestrator-api, scopes: [orders:read], direct: true}}]
    api-gateway:
      secret: {{file: .remit/secrets/api-gateway}}
      profile: workload
      subject_audiences: [orchestrator-api]
      targets: [{{audience: orders-service, scopes: [orders:read], profile: workload}}]
    orders-service:
      secret: {{file: .remit/secrets/orders-service}}
      profile: workload
      targets:
        - audience: payments-service
          profile: workload
          scopes: [payments:charge]
          translate: {{payments:charge: orders:read}}   # given to whoever holds orders:read
  users:                     # who there is: `remit users password alice`; whoever runs remit here can `call … --as alice`
    alice:
      name: Alice Adams
      roles: [support-lead]
      scopes: [orders:read, refunds:write, payments:read, payments:refund, stock:read, stock:write]
    bob:
      name: Bob Brown
      roles: [intern]
      scopes: [orders:read, refunds:write, payments:read, payments:refund, stock:read, stock:write]
"""


def write_workspace(folder: Path, *, ports: Ports = PORTS, force: bool = False) -> list[Path]:
    """Write a workspace into ``folder``; returns the files written, relative to it.

    Raises ``StateInvalid`` where a file is there already and ``force`` is not set: nothing is written then.
    Secrets that are there are kept.
    """
    mcp, orders, payments, stock = ports
    files = {
        Path("remit.yaml"): _SETTINGS.format(mcp=mcp, orders=orders, payments=payments, stock=stock),
        **{Path("tools", name): text for name, text in sample_tools()},
        **{Path("apis", name): _at_ports(text, ports) for name, text in _packaged("apis")},
        **{Path("policy", name): text for name, text in _packaged("policy")},
    }
    there = [path for path in files if (folder / path).exists()]
    if there and not force:
        raise StateInvalid(
            f"{folder / there[0]} is there already", hint="choose an empty folder, or overwrite with --force"
        )
    for path, text in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text, encoding="utf-8", newline="\n")
    keys = [_write_secret(folder, client) for client in CLIENTS]
    return [*files, *keys]


def sample_tools() -> Iterator[tuple[str, str]]:
    """Name and text of the sample company's tool files and their schema: packaged, or from the source tree beside."""
    packaged = list(_packaged("tools"))
    if packaged:
        yield from packaged
        return
    for path in sorted((Path(__file__).parents[3] / "tools").iterdir()):
        if path.suffix in {".yaml", ".json"}:  # the tool files, and the schema that editors read
            yield path.name, path.read_text(encoding="utf-8")


def _packaged(kind: str) -> Iterator[tuple[str, str]]:
    folder = resources.files("remit.demo") / kind
    if folder.is_dir():
        for file in sorted(folder.iterdir(), key=lambda entry: entry.name):
            if not file.name.startswith((".", "_")):
                yield file.name, file.read_text(encoding="utf-8")


def _at_ports(text: str, ports: Ports) -> str:
    """A description with the addresses at which its API is served."""
    used = dict(zip(map(str, PORTS), map(str, ports), strict=True))
    return re.sub(r"(?<=127\.0\.0\.1:)\d+", lambda port: used[port[0]], text)


def _write_secret(folder: Path, client: str) -> Path:
    relative = Path(".remit", "secrets", client)
    path = folder / relative
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    if not path.exists():
        # Created with its mode, not changed afterwards: no moment when others could read it.
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "w", encoding="ascii") as file:
            file.write(secrets.token_urlsafe(32))
    return relative
