"""The words of the semantic conventions for messaging."""

from __future__ import annotations

from collections.abc import Iterable

from aiocpg.evs import EvsGroup

SCOPE = "aiocpg"
SYSTEM = "messaging.system"
OPERATION_NAME = "messaging.operation.name"
OPERATION_TYPE = "messaging.operation.type"
DESTINATION = "messaging.destination.name"
BODY_SIZE = "messaging.message.body.size"
CLIENT = "messaging.client.id"

NODE = "aiocpg.node"
STATE = "aiocpg.group.state"
DOMAIN = "aiocpg.evs.domain"
SENDER = "aiocpg.sender"
POSITION = "aiocpg.evs.position"
GUARANTEE = "aiocpg.evs.guarantee"


def destination(groups: Iterable[EvsGroup]) -> str:
    """The groups of a message as one destination."""
    return ",".join(sorted(set(map(str, groups))))
