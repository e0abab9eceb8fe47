"""
Asyncio-native group messaging on Corosync.

A group is a set of processes on a set of nodes; every member sees the same messages and the same joins, leaves and
failures in the same order.
"""

from aiocpg._connection import Connection, connect
from aiocpg._events import (
    Address,
    Buffer,
    ConfigurationChange,
    DaemonIdentity,
    DaemonResumed,
    DaemonStalled,
    Disconnected,
    Event,
    Guarantee,
    MemberChange,
    Message,
    Reason,
    Receipt,
    RingChange,
    RingId,
    View,
)
from aiocpg._group import Group
from aiocpg._health import Health
from aiocpg._opening import Opening
from aiocpg._quorum_watch import QuorumWatch
from aiocpg._state.quorum import NoQuorumProvider, Quorum, QuorumState, QuorumUnknown
from aiocpg._state.reconnect import Reconnect
from aiocpg._statistics import ConnectionStatistics, GroupState, GroupStatistics, Histogram
from aiocpg._stream import Stream
from aiocpg.errors import (
    AlreadyJoinedError,
    BusyError,
    ConnectionClosedError,
    ConnectionLostError,
    CPGError,
    EngineError,
    EngineUnavailableError,
    ForkedError,
    GroupClosedError,
    GroupNameError,
    MembershipLostError,
    MessageLostError,
    MessageTooBigError,
    NotJoinedError,
    SlowConsumerError,
    StatusError,
    TooManyGroupsError,
    UsageError,
)

__version__ = "0.1.0"

__all__ = [
    "Address",
    "AlreadyJoinedError",
    "Buffer",
    "BusyError",
    "CPGError",
    "ConfigurationChange",
    "Connection",
    "ConnectionClosedError",
    "ConnectionLostError",
    "ConnectionStatistics",
    "DaemonIdentity",
    "DaemonResumed",
    "DaemonStalled",
    "Disconnected",
    "EngineError",
    "EngineUnavailableError",
    "Event",
    "ForkedError",
    "Group",
    "GroupClosedError",
    "GroupNameError",
    "GroupState",
    "GroupStatistics",
    "Guarantee",
    "Health",
    "Histogram",
    "MemberChange",
    "MembershipLostError",
    "Message",
    "MessageLostError",
    "MessageTooBigError",
    "NoQuorumProvider",
    "NotJoinedError",
    "Opening",
    "Quorum",
    "QuorumState",
    "QuorumUnknown",
    "QuorumWatch",
    "Reason",
    "Receipt",
    "Reconnect",
    "RingChange",
    "RingId",
    "SlowConsumerError",
    "StatusError",
    "Stream",
    "TooManyGroupsError",
    "UsageError",
    "View",
    "__version__",
    "connect",
]
