"""
The random walk of endpoints: members of domains send while a schedule, which follows from a seed, breaks their cluster;
then all they saw is checked by the checker of the simulator, see ``evs.sim``.

===============  ===================================================================================
``schedule``     what is done, as a pure function of the seed
``members``      who sends and records meanwhile: handles that are there from their endpoint's beginning on
``messages``     what they send
``lines``        what they record: lines of JSON
``story``        a member's lines as lives, and what can be told of it at the moment; pure
``players``      a member in this process, or in one of its own, which can be stopped and killed
``child``        that process
``stage``        where members come and go, and how they come to rest
``walking``      one walk from its seed to its check
``figures``      what a walk has seen, in numbers
``trying``       a walk with its check; what failed is kept
===============  ===================================================================================

``python -m faults.evs_walk --help`` (with ``tests`` on the path) makes many walks, or ten minutes of partitions.
"""
