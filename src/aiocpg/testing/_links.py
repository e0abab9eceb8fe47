"""The network of a test cluster as lines for `ip` and `tc`: addresses, neighbours, limits. No I/O."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

DEVICE = "eth0"
"""A node's link; the other end is its port in the bridges' namespace."""

_NOBODY = "02:00:00:00:ff:ff"
"""A hardware address that no device has."""

_BURST = 16 * 1024
"""Bytes that a limited link takes at once; at least a packet."""

_QUEUE = 256 * 1024
"""Bytes that wait at a limited link before it drops; a switch has about as much."""


def address(nodeid: int) -> str:
    """The node's address; every cluster uses this network, for its namespaces are its own."""
    return f"10.77.0.{nodeid}"


def port(nodeid: int) -> str:
    """The name of the node's port in the bridges' namespace."""
    return f"port{nodeid}"


def _hardware_address(nodeid: int) -> str:
    return f"02:00:00:00:00:{nodeid:02x}"


_FIRST_INDEX = 1000
"""
Link 1000 + N is node N's. When a link comes up whose index is not that of its other end, the kernel takes note at once;
else it may let a second pass, in which no packet gets through. Each namespace counts from 1, so the two were equal for
some node. Measured for three nodes: they are a ring after 0.24 s instead of 1.0 s.
"""


def network_lines(nodeids: Iterable[int], nodeid: int) -> list[str]:
    """The lines for ``ip`` that connect a node's eth0 to its port in the bridges' namespace, {home}."""
    lines = [
        "link set dev lo up",
        f"link add name {DEVICE} index {_FIRST_INDEX + nodeid} address {_hardware_address(nodeid)}"
        f" type veth peer name {port(nodeid)} netns {{home}}",
        f"address add {address(nodeid)}/24 dev {DEVICE}",
        f"link set dev {DEVICE} up",
    ]
    # Known neighbours: nobody has to ask, and no failed question delays the healing of a partition.
    return lines + [f"neighbour add {_neighbour(other)}" for other in nodeids if other != nodeid]


def _neighbour(nodeid: int, *, right: bool = True) -> str:
    hardware = _hardware_address(nodeid) if right else _NOBODY
    return f"{address(nodeid)} lladdr {hardware} nud permanent dev {DEVICE}"


def deafening_line(nodeid: int, *, deaf: bool) -> str:
    """The line for ``ip`` on one node after which another, `nodeid`, no longer hears it, or hears it again."""
    return f"neighbour replace {_neighbour(nodeid, right=not deaf)}"


@dataclass(frozen=True)
class Shape:
    """
    What is done to the packets of a link, each way.

    Attributes:
        kind: The queueing discipline as ``tc`` has it with its options; "" leaves the packets alone.
        module: The kernel's module for it.
    """

    kind: str = ""
    module: str = ""

    def line(self, device: str) -> str:
        """The line for ``tc`` that puts it on a device."""
        return f"qdisc replace dev {device} root {self.kind or 'noqueue'}"

    @property
    def cure(self) -> str:
        """What to do when ``tc`` refuses."""
        return f"the kernel must have the module {self.module} (modprobe {self.module}, or a kernel built with it)"


def limited(bits_per_second: int) -> Shape:
    """A link of this bandwidth."""
    if bits_per_second < 8000:
        raise ValueError(f"a link takes at least 8000 bits per second, not {bits_per_second}")
    return Shape(f"tbf rate {bits_per_second}bit burst {_BURST} limit {_QUEUE}", "sch_tbf")


def degraded(delay: float, loss: float, reorder: float) -> Shape:
    """A link that delays each packet (seconds), and loses and reorders this part of them (0 to 1)."""
    if delay < 0 or not (0 <= loss <= 1 and 0 <= reorder <= 1):
        raise ValueError(f"delay is in seconds, loss and reorder from 0 to 1, not {delay}, {loss}, {reorder}")
    if reorder and not delay:
        raise ValueError("reordered packets overtake those that are delayed: give a delay as well")
    words = [f"delay {delay * 1e6:.0f}us"] * (delay > 0)
    words += [f"loss {loss:.4%}"] * (loss > 0) + [f"reorder {reorder:.4%}"] * (reorder > 0)
    return Shape(" ".join(["netem", *words]), "sch_netem") if words else Shape()
