"""
What tests of programs over Corosync need: clusters that vanish with the test, real ones and such as are in the process.

Each node of a real one is a corosync daemon of its own in a network and a mount namespace of its own. Public names
only; the parts are in the private modules beside this file.
"""

from ._cluster import CorosyncCluster
from ._errors import ClusterError
from ._memory import MemoryCluster
from ._memory_node import MemoryNode
from ._node import ClusterNode
from .conformance import check_engine

__all__ = ["ClusterError", "ClusterNode", "CorosyncCluster", "MemoryCluster", "MemoryNode", "check_engine"]
