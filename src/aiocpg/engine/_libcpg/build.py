"""
Builds ``aiocpg.engine._libcpg._shim``: cffi in API mode, from the header fragments that the C files include as well.

Needs a C compiler and nothing of Corosync. Run by setuptools through ``cffi_modules`` in setup.py.
"""

from __future__ import annotations

from pathlib import Path

from cffi import FFI

HERE = Path(__file__).parent  # relative to setup.py, as setuptools wants its sources
IOVEC = "struct iovec { void *iov_base; size_t iov_len; };"
FRAGMENTS = ("abi.h", "table.h", "api.h", "quorum_abi.h", "quorum_table.h", "quorum_api.h")
SOURCES = ("load.c", "arena.c", "dispatch.c", "guard.c", "quorum.c")

ffibuilder = FFI()
ffibuilder.cdef("\n".join([IOVEC, *((HERE / name).read_text(encoding="utf-8") for name in FRAGMENTS)]))
ffibuilder.set_source(
    "aiocpg.engine._libcpg._shim",
    '#include "shim.h"',
    sources=[str(HERE / name) for name in SOURCES],
    include_dirs=[str(HERE)],
    depends=[str(HERE / name) for name in (*FRAGMENTS, "shim.h")],
    libraries=["dl"],  # a part of libc since glibc 2.34
    extra_compile_args=["-std=gnu11", "-fvisibility=hidden"],
)
