"""
An endpoint as a state machine: in goes what the CPG group says, out comes what readers get and what is to be sent.

No I/O, no clock, no loop: time is given. What an endpoint decides depends only on the stream of its CPG group, so
members that see the same stream say the same; only acknowledgements and stalls have to do with time.

In short: every frame of a member is counted, and a checksum of their identities, the *chain*, is kept since the view
began. A frame carries its sender's triple: the view's fingerprint, the count, the chain there. Who finds the triple in
a view of its own knows that the sender has processed exactly the same frames so far. A SAFE message is *stable* when
all members' triples cover it. It is delivered then, and holds up what is ordered behind it until then. A view that
ends with unstable messages waits until each member that goes on has sent FINAL, its last triple of it, or was seen to
have gone on without. Then the rest is delivered in the transitional configuration of those whose FINAL equals ours.
"""

from aiocpg.evs._endpoint.configurations import Numbering
from aiocpg.evs._endpoint.endpoint import Endpoint, Settings
from aiocpg.evs._endpoint.frames import OwnPiece
from aiocpg.evs._endpoint.happenings import Delivered, Entry, Happening
from aiocpg.evs._endpoint.statistics import Counts

__all__ = ["Counts", "Delivered", "Endpoint", "Entry", "Happening", "Numbering", "OwnPiece", "Settings"]
