"""
A dashboard for a cluster, as an example of a service: one instance on each node, one page for each instance.

``python -m examples.dashboard --local`` starts three instances on this host, ``--cluster`` on three nodes of a Corosync
of its own; without either it is one instance, for a node of yours.
"""
