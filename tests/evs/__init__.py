"""Tests of EVS; ``sim`` is the simulator that drives endpoints, and the checker of what they recorded."""
