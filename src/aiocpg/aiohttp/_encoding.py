"""What browsers are told: events, and the words of the fan-out itself, as JSON text."""

from __future__ import annotations

import base64
import json
from typing import Any

import aiocpg

_PULSE: dict[type, str] = {aiocpg.DaemonStalled: "stalled", aiocpg.DaemonResumed: "resumed"}


def encode_json(event: aiocpg.Event, id: str) -> str | None:
    """
    An event as JSON text, the way :func:`websocket_fanout` tells it unless told otherwise; None for what is not told.

    ``payload`` is the message's text; where that is not UTF-8, ``payload_base64`` has its bytes. Configuration changes
    are not told: views fold them.

    Args:
        event: What the group handed out.
        id: Its place in the fan-out, which a browser gives back to go on behind it.
    """
    told = _told(event)
    return None if told is None else dumps({**told, "id": id})


def dumps(fields: dict[str, Any]) -> str:
    """JSON without spaces, letters as they are."""
    return json.dumps(fields, ensure_ascii=False, separators=(",", ":"))


def view_fields(view: aiocpg.View) -> dict[str, Any]:
    """A view with its members."""
    return {
        "position": view.position,
        "number": view.number,
        "ring": str(view.ring_id),
        "members": [str(member) for member in view.members],
        "joined": {str(who): why.name for who, why in view.joined.items()},
        "left": {str(who): why.name for who, why in view.left.items()},
    }


def _told(event: aiocpg.Event) -> dict[str, Any] | None:
    match event:
        case aiocpg.Message(sender=sender, data=data, position=position, view=view):
            return {
                "type": "message",
                "position": position,
                "sender": str(sender),
                "view": {"number": view.number, "ring": str(view.ring_id)},
                **_payload(data),
            }
        case aiocpg.View():
            return {"type": "view", **view_fields(event)}
        case aiocpg.RingChange(ring_id=ring_id, nodes=nodes):
            return {"type": "ring", "ring": str(ring_id), "nodes": list(nodes)}
        case aiocpg.Disconnected(reason=reason):
            return {"type": "away", "reason": reason}
        case aiocpg.DaemonStalled(silent_for=seconds) | aiocpg.DaemonResumed(silent_for=seconds):
            return {"type": _PULSE[type(event)], "silent_for": seconds}
    return None


def _payload(data: bytes) -> dict[str, str]:
    try:
        return {"payload": data.decode()}
    except UnicodeDecodeError:
        return {"payload_base64": base64.b64encode(data).decode()}
