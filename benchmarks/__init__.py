"""How fast aiocpg is, and how that compares with a C program on libcpg in the same minute: ``python -m benchmarks``."""
