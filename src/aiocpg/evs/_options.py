"""How an endpoint is set up: checked once, where it is made."""

from __future__ import annotations

from dataclasses import dataclass, fields

from aiocpg import Reconnect
from aiocpg.evs._endpoint import Settings

MIN_FRAME = 512
"""Bytes that a frame may be limited to at least: header, one message's record and a few groups have to fit."""


@dataclass(frozen=True)
class Options:
    """
    What all handles of one endpoint share.

    Attributes:
        max_frame: Bytes of a frame into which messages are packed.
        window: Bytes of own messages under way.
        settings: The state machine's.
        reconnect: How its own connection comes back; None where it does not, or is the caller's.
        daemon_uid: The user id that the daemon has to have, if any.
    """

    max_frame: int
    window: int
    settings: Settings
    reconnect: Reconnect | None = None
    daemon_uid: int | None = None

    def __post_init__(self) -> None:
        _check_bytes("max_frame", self.max_frame, MIN_FRAME)
        _check_bytes("window", self.window, 1)
        settings = self.settings
        _check_seconds("ack_interval", settings.ack_interval, may_be_0=True)
        _check_seconds("stall_timeout", settings.stall_timeout)
        if settings.evict_after is not None:
            _check_seconds("evict_after", settings.evict_after)
            if settings.evict_after < settings.stall_timeout:
                raise ValueError(
                    f"evict_after ({settings.evict_after:g} s) is less than stall_timeout "
                    f"({settings.stall_timeout:g} s): a member cannot be evicted before it counts as stalled"
                )

    def differences(self, asked: Options) -> str:
        """What is other here than asked for, each by its name in :func:`aiocpg.evs.connect`."""
        here, there = _by_name(self), _by_name(asked)
        return ", ".join(f"{name}={here[name]!r} and not {there[name]!r}" for name in here if here[name] != there[name])


def _by_name(options: Options) -> dict[str, object]:
    """All options in one, those of the state machine among them."""
    own = {field.name: getattr(options, field.name) for field in fields(options) if field.name != "settings"}
    return own | {field.name: getattr(options.settings, field.name) for field in fields(options.settings)}


def _check_bytes(name: str, value: object, least: int) -> None:
    if not isinstance(value, int):
        raise TypeError(f"{name} is a whole number of bytes, not {value!r}")
    if value < least:
        raise ValueError(f"{name} is a number of bytes, {least} or more, not {value}")


def _check_seconds(name: str, value: object, *, may_be_0: bool = False) -> None:
    if not isinstance(value, (int, float)):
        raise TypeError(f"{name} is a number of seconds, not {value!r}")
    if not value >= 0 or (value == 0 and not may_be_0):
        raise ValueError(f"{name} is a number of seconds, {'0 or more' if may_be_0 else 'more than 0'}, not {value}")
