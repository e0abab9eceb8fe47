"""
What a web service needs of the core, whatever its framework: groups from start to end, and answers for probes.

Built on public names, as a user would.
"""

from ._joined import ConnectOptions, Joined, encoded, joined
from ._probes import Answer, liveness, readiness, state_of

__all__ = ["Answer", "ConnectOptions", "Joined", "encoded", "joined", "liveness", "readiness", "state_of"]
