"""The settings of a test cluster and what is written from them: corosync.conf. No I/O."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ._links import address

MAX_NODES = 64

DIRECTORY = "/run/corosync-test"
"""Where a node keeps its configuration and log, inside its private /run."""

_TEMPLATE = """\
totem {{
    version: 2
    cluster_name: test
    transport: {transport}
    crypto_cipher: none
    crypto_hash: none
    token: {token}
    token_coefficient: 0
    consensus: {consensus}
    join: 50
    merge: 100
    interface {{
        linknumber: 0
{link}    }}
}}
quorum {{
{provider}}}
system {{
    sched_rr: {sched_rr}
    move_to_root_cgroup: no
}}
logging {{
    to_stderr: no
    to_syslog: no
    to_logfile: yes
    logfile: {directory}/corosync.log
    timestamp: hires
}}
nodelist {{
{nodelist}}}
{uidgid}"""

_NODE = """\
    node {{
        nodeid: {nodeid}
        name: node{nodeid}
        ring0_addr: {address}
    }}
"""

_UIDGID = """\
uidgid {{
    uid: {uid}
}}
"""

# knet sends nothing over a link before enough pings came back; by default that takes seconds.
_KNET_LINK = """\
        knet_ping_interval: 40
        knet_ping_timeout: 400
        knet_pong_count: 1
"""


_PROVIDER = "    provider: corosync_votequorum\n"


@dataclass(frozen=True)
class Settings:
    """
    What a cluster is made of.

    Attributes:
        nodes: How many, 1 to 64.
        shm_size: Of each node's /dev/shm, as the tmpfs option has it ("256M").
        sched_rr: Whether the daemons ask for real-time scheduling.
        token: Milliseconds without the token until it counts as lost.
        extra_uidgid: User ids besides root that may use the daemons.
        transport: "udpu" or "knet".
        quorum: Whether corosync_votequorum decides who has the majority, a vote for each node.
    """

    nodes: int
    shm_size: str
    sched_rr: bool
    token: int
    extra_uidgid: Sequence[int]
    transport: str
    quorum: bool = True

    def __post_init__(self) -> None:
        if not 1 <= self.nodes <= MAX_NODES:
            raise ValueError(f"a cluster has 1 to {MAX_NODES} nodes, not {self.nodes}")
        if self.transport not in ("udpu", "knet"):
            raise ValueError(f"transport is 'udpu' or 'knet', not {self.transport!r}")
        if self.token < 100:
            raise ValueError(f"token is in milliseconds and at least 100, not {self.token}")

    @property
    def nodeids(self) -> range:
        return range(1, self.nodes + 1)


def corosync_conf(settings: Settings) -> str:
    """The text of corosync.conf; one for all nodes."""
    return _TEMPLATE.format(
        transport=settings.transport,
        token=settings.token,
        consensus=settings.token * 6 // 5,
        link=_KNET_LINK if settings.transport == "knet" else "",
        provider=_PROVIDER if settings.quorum else "",
        sched_rr="yes" if settings.sched_rr else "no",
        directory=DIRECTORY,
        nodelist="".join(_NODE.format(nodeid=nodeid, address=address(nodeid)) for nodeid in settings.nodeids),
        uidgid="".join(_UIDGID.format(uid=uid) for uid in settings.extra_uidgid),
    )
