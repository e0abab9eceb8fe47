"""
What tests of programs over Corosync need: real clusters that live on one machine and vanish with the test.

Each node is a corosync daemon of its own in a network and a mount namespace of its own. Public names only; the parts
are in the private modules beside this file.
"""

from ._cluster import CorosyncCluster
from ._errors import ClusterError
from ._node import ClusterNode
from .conformance import check_engine

__all__ = ["ClusterError", "ClusterNode", "CorosyncCluster", "check_engine"]
