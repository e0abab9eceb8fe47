"""
Extended virtual synchrony over CPG: many groups in one order, and guarantees up to SAFE.

Corosync had such an interface until 2012 (``corosync/evs.h``). This is all of it, and what it never had: SAFE delivery
that is safe, UNORDERED that overtakes, messages of any size, and outcomes.
"""

from aiocpg.evs._connect import connect
from aiocpg.evs._handle import Evs
from aiocpg.evs._statistics import Statistics
from aiocpg.evs._ticket import Ticket
from aiocpg.evs._values import (
    Configuration,
    Delivery,
    Evicted,
    EvsEvent,
    EvsGroup,
    GroupLike,
    Membership,
    Receipt,
    RegularConfiguration,
    Resumed,
    Resync,
    Stalled,
    TransitionalConfiguration,
)

__all__ = [
    "Configuration",
    "Delivery",
    "Evicted",
    "Evs",
    "EvsEvent",
    "EvsGroup",
    "GroupLike",
    "Membership",
    "Receipt",
    "RegularConfiguration",
    "Resumed",
    "Resync",
    "Stalled",
    "Statistics",
    "Ticket",
    "TransitionalConfiguration",
    "connect",
]
