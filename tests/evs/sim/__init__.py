"""
Endpoints in a simulated cluster that does to them what Corosync does, and worse; then all they saw is checked.

==============  ===================================================================================
``running``     one run, as a pure function of its mode and its seed
``modes``       what is broken, and how often
``world``       the cluster: what can be done to it, how it comes to rest
``rings``       rings: one order of what daemons say
``daemon``      a daemon: from ring to ring
``cpg``         the group as one daemon knows it
``clients``     a connection
``process``     an endpoint with its outbox, driven as the package's I/O drives it
``strangers``   members that are no endpoints
``messages``    the messages of a run
``watch``       what only shows while a run goes on: S1k, S9, S10, S11
``again``       another endpoint on the same stream: S5
``history``     what endpoints record: the input of the checker, from here or from a real cluster
``checker``     whether that keeps what EVS promises; pure, as all that follows
``excused``     who failed before it could have what it should have
``stays``       a life cut into its configurations: S8
``safety``      S1, S2
``order``       S3
``together``    S4
``outcomes``    S6, S7
``trying``      runs with what tells how to see a failure again
``mutants``     endpoints with a fault, to test the checker
==============  ===================================================================================

``python -m evs.sim --help`` (with ``tests`` on the path) makes many runs.
"""
