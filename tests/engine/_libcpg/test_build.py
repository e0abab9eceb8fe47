"""The shim as built: our declarations against the real headers, no warnings, no output, the functions all there."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterable
from pathlib import Path

import pytest

from aiocpg.engine._libcpg import _shim, build
from aiocpg.engine._libcpg._shim import ffi, lib
from aiocpg.engine._libcpg.status import Status

SOURCES = Path(__file__).parents[3] / "src/aiocpg/engine/_libcpg"  # an installed package has no C files
ABI = "".join((SOURCES / name).read_text() for name in ("abi.h", "quorum_abi.h"))
TABLES = {"cpg": "table.h", "quorum": "quorum_table.h"}
HEADERS = (
    "#include <stddef.h>\n#include <stdint.h>\n#include <stdio.h>\n#include <sys/uio.h>\n#include <corosync/cpg.h>\n"
    "#include <corosync/quorum.h>\n"
)
STRUCTS = {
    "struct cpg_address": ("nodeid", "pid", "reason"),
    "struct cpg_name": ("length", "value"),
    "struct cpg_iteration_description_t": ("group", "nodeid", "pid"),
    "struct cpg_ring_id": ("nodeid", "seq"),
    "cpg_model_data_t": ("model",),
    "cpg_model_v1_data_t": ("model", "cpg_deliver_fn", "cpg_confchg_fn", "cpg_totem_confchg_fn", "flags"),
    "struct quorum_ring_id": ("nodeid", "seq"),
    "quorum_callbacks_t": ("quorum_notify_fn",),
    "quorum_model_data_t": ("model",),
    "quorum_model_v1_data_t": ("model", "quorum_notify_fn", "nodelist_notify_fn"),
}
SCALARS = ("cpg_handle_t", "cpg_iteration_handle_t", "cs_error_t", "cs_dispatch_flags_t", "cpg_guarantee_t")
SCALARS += ("quorum_handle_t", "quorum_model_t")
VALUES = sorted(set(re.findall(r"\b(?:CS|CPG|QUORUM)_[A-Z0-9_]+\b(?= = |\s+(?:0x)?\d)", ABI)))


def ask_compiler(tmp_path: Path, body: str) -> dict[str, int]:
    """Run a C program against the real header; it prints names and numbers."""
    source = tmp_path / "ask.c"
    source.write_text(f"{HEADERS}int main(void)\n{{\n{body}\nreturn 0;\n}}\n")
    subprocess.run(["cc", "-o", tmp_path / "ask", source], check=True, capture_output=True)
    lines = subprocess.run([tmp_path / "ask"], check=True, capture_output=True, text=True).stdout.splitlines()
    return {name: int(number) for name, number in (line.split("=") for line in lines)}


def test_structs_are_those_of_the_header(tmp_path: Path) -> None:
    """Sizes and offsets agree with corosync/cpg.h and quorum.h; the libraries read and write these."""
    ours = {name: ffi.sizeof(name) for name in (*STRUCTS, *SCALARS)}
    ours |= {f"{name}.{field}": ffi.offsetof(name, field) for name, fields in STRUCTS.items() for field in fields}
    sizes = [f'printf("{name}=%zu\\n", sizeof({name}));' for name in (*STRUCTS, *SCALARS)]
    offsets = [
        f'printf("{name}.{field}=%zu\\n", offsetof({name}, {field}));'
        for name, fields in STRUCTS.items()
        for field in fields
    ]
    assert ask_compiler(tmp_path, "\n".join(sizes + offsets)) == ours


def test_values_are_those_of_the_header(tmp_path: Path) -> None:
    """Every enum value and constant agrees with the headers."""
    assert len(VALUES) > 50
    body = "\n".join(f'printf("{name}=%d\\n", (int){name});' for name in VALUES)
    assert ask_compiler(tmp_path, body) == {name: getattr(lib, name) for name in VALUES}


def test_functions_have_the_types_of_the_header(tmp_path: Path) -> None:
    """Each function pointer of our tables takes the real function without a complaint, and so do the callbacks."""
    callbacks = (".cpg_deliver_fn = d", ".cpg_confchg_fn = c", ".cpg_totem_confchg_fn = t")
    source = tmp_path / "types.c"
    source.write_text(
        HEADERS
        + "".join(_table(library, file) for library, file in TABLES.items())
        + _callbacks()
        + _variable("cpg_model_v1_data_t", "model", callbacks)
        + _variable("quorum_callbacks_t", "v0", [".quorum_notify_fn = o"])
        + _variable("quorum_model_v1_data_t", "v1", [".quorum_notify_fn = q"])
    )
    done = subprocess.run(
        ["cc", "-Wall", "-Wextra", "-Werror", "-c", "-o", tmp_path / "types.o", source],
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr


def _table(library: str, file: str) -> str:
    text = (SOURCES / file).read_text()
    (kind,) = re.findall(r"^(struct \w+) {", text, re.M)
    real = [f".{field} = {library}_{field}" for field in re.findall(r"\(\*(\w+)\)\(", text)]
    return f'#include "{SOURCES}/{file}"\n' + _variable(kind, f"{library}_table", real)


def _variable(kind: str, name: str, fields: Iterable[str]) -> str:
    return f"extern {kind} {name};\n{kind} {name} = {{{', '.join(fields)}}};\n"


def _callbacks() -> str:
    # Our own callbacks' prototypes as shim.h has them, under short names.
    prototypes = re.findall(r"^void aiocpg_on_\w+\((.*?)\);", (SOURCES / "shim.h").read_text(), re.S | re.M)
    return "\n".join(f"void {name}({types});" for name, types in zip("dctoq", prototypes, strict=True)) + "\n"


@pytest.mark.parametrize("source", build.SOURCES)
def test_c_file_compiles_without_a_warning(source: str, tmp_path: Path) -> None:
    """A warning in C is an error in waiting."""
    flags = ["-std=gnu11", "-O2", "-Wall", "-Wextra", "-Wconversion", "-Werror"]
    done = subprocess.run(
        ["cc", *flags, "-c", "-o", tmp_path / "out.o", SOURCES / source],
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr


def test_shim_calls_nothing_that_prints() -> None:
    """A library must not write to its user's terminal, so no printing function is even linked."""
    symbols = subprocess.run(["nm", "-D", _shim.__file__], check=True, capture_output=True, text=True).stdout
    assert " U dlsym" in symbols
    assert re.findall(r" U \w*(?:print|puts|putc|putchar|perror|write|syslog|stdout|stderr)\w*", symbols) == []


def test_shim_shows_its_entry_point_only() -> None:
    """Our C names cannot meet those of others in the process."""
    symbols = subprocess.run(["nm", "-D", "--defined-only", _shim.__file__], check=True, capture_output=True, text=True)
    assert [line.split()[-1] for line in symbols.stdout.splitlines()] == ["PyInit__shim"]


def test_status_values_are_those_of_the_abi() -> None:
    """The Python enum has every status of the C header, by name and number, and ours."""
    names = {name.removeprefix("CS_ERR_").removeprefix("CS_"): getattr(lib, name) for name in VALUES if _is_error(name)}
    own = re.findall(r"#define AIOCPG_(\w+) -\d", (SOURCES / "api.h").read_text())
    assert {status.name: int(status) for status in Status} == names | {
        name: getattr(lib, f"AIOCPG_{name}") for name in own
    }


def _is_error(name: str) -> bool:
    return name == "CS_OK" or name.startswith("CS_ERR_")
