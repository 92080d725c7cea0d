"""The release note's company: client-frontend calls api-gateway, which calls orders-service, which calls payments.

``api-gateway`` and ``orders-service`` may have tokens of the ``workload`` profile; at payments, ``payments:charge`` is
given for ``orders:read``.
"""

from __future__ import annotations

from typing import Final

from remit.principal import Profile
from remit.sts.clients import Client, TargetRule
from support.sts import SECRET, World

FRONTEND: Final = Client(
    "client-frontend", targets=(TargetRule("orchestrator-api", scopes=("orders:read",), direct=True),)
).with_secret(SECRET)
GATEWAY: Final = Client(
    "api-gateway",
    profile=Profile.WORKLOAD,
    subject_audiences=frozenset({"orchestrator-api"}),
    targets=(TargetRule("orders-service", scopes=("orders:read",), profile=Profile.WORKLOAD),),
).with_secret(SECRET)
ORDERS: Final = Client(
    "orders-service",
    profile=Profile.WORKLOAD,
    targets=(
        TargetRule(
            "payments-service",
            scopes=("payments:charge", "orders:read"),
            profile=Profile.WORKLOAD,
            translate={"payments:charge": "orders:read"},
        ),
        TargetRule("user-service", scopes=("orders:read",)),
        TargetRule("bridged-service", scopes=("orders:read",), bridge=True),
    ),
).with_secret(SECRET)


def company(*changed: Client) -> World:
    """The three clients, some of them changed."""
    return World(clients={client.client_id: client for client in (FRONTEND, GATEWAY, ORDERS, *changed)})
