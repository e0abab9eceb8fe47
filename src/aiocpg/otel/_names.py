"""The words of OpenTelemetry's semantic conventions for messaging, of the version that ``SCHEMA`` names."""

from __future__ import annotations

from collections.abc import Iterable

from aiocpg.evs import EvsGroup

SCOPE = "aiocpg"
SCHEMA = "https://opentelemetry.io/schemas/1.44.0"

SYSTEM = "messaging.system"
OPERATION_NAME = "messaging.operation.name"
OPERATION_TYPE = "messaging.operation.type"
DESTINATION = "messaging.destination.name"
BODY_SIZE = "messaging.message.body.size"
CLIENT = "messaging.client.id"
ERROR_TYPE = "error.type"

NODE = "aiocpg.node"
STATE = "aiocpg.group.state"
DOMAIN = "aiocpg.evs.domain"
SENDER = "aiocpg.sender"
POSITION = "aiocpg.evs.position"
GUARANTEE = "aiocpg.evs.guarantee"


def destination(groups: Iterable[EvsGroup]) -> str:
    """The groups of a message as one destination."""
    return ",".join(sorted(set(map(str, groups))))
