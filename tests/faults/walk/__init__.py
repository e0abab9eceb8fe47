"""
The random walk: members send while a schedule, which follows from a seed, breaks their cluster; then all they saw is
checked.

===============  ===================================================================================
``schedule``     what is done, as a pure function of the seed
``members``      who sends and records meanwhile
``walking``      one walk from its seed to its records
``trying``       a walk with its check; what failed is kept
``records``      what members record, as values and as lines of JSON
``checker``      whether the records keep what the group promises; pure, as all that follows
``alone``        one history by itself
``reasons``      views and their reasons, against what was done
``pairs``        two members on one ring
``stays``        a history cut into the times on one ring each, and what Corosync may lose there
``rings``        what the daemons' logs say of their rings
``ghosts``       members that are listed and not there, a fault of Corosync
``imagined``     a cluster that keeps every promise, to test the checker
``spoiling``     ways to spoil good histories, to test the checker
===============  ===================================================================================

``python -m faults.walk --help`` (with ``tests`` on the path) makes many walks.
"""
