"""Each trap of libcpg and corosync: the naive program that falls into it, and aiocpg in the same place."""
