"""``aiocpg cluster``: a throw-away Corosync cluster from a shell."""

from __future__ import annotations

import enum
import time
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer
from typer import Argument, Option

from . import _everywhere, _ports, _typed
from ._signals import Told, raising

if TYPE_CHECKING:
    from aiocpg.testing import ClusterNode, CorosyncCluster

LAST_PORT = 65535

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="Throw-away Corosync clusters on this machine.")


class Transport(enum.StrEnum):
    """What the daemons speak with one another."""

    UDPU = "udpu"
    KNET = "knet"


@app.command(context_settings={"allow_interspersed_args": False})
def up(
    command: Annotated[list[str] | None, Argument(help="Run this on every node, and end when all have ended.")] = None,
    nodes: Annotated[int, Option("--nodes", "-n", help="How many nodes.")] = 3,
    on: Annotated[list[int] | None, Option(help="Run the command on this node only; may be repeated.")] = None,
    token: Annotated[int, Option(help="Milliseconds until a silent node is noticed.")] = 500,
    transport: Annotated[Transport, Option(help="udpu forms quicker, production uses knet.")] = Transport.UDPU,
    shm_size: Annotated[str, Option(help="Of each node's /dev/shm.")] = "256M",
    port: Annotated[
        int, Option(min=0, max=LAST_PORT, help="Reach this TCP port of node N at 127.0.0.1, port + N. 0: none.")
    ] = 0,
) -> None:
    """
    Start a cluster of real Corosync daemons that ends with this program.

    Without a command: print how to reach each node, and run until Ctrl-C or SIGTERM, status 0.

    With one, after --, run it on every node, without input, with the node's number in AIOCPG_NODE, and corosync:// in
    AIOCPG_URL. Its lines are printed behind that number. The status is the worst of theirs; Ctrl-C and SIGTERM are
    passed on to them.

    At a terminal, type cut and the numbers of nodes to cut them off from the others, and heal to undo it.
    """
    from aiocpg.testing import CorosyncCluster  # noqa: PLC0415 - it takes longer to import than the rest of us

    try:
        cluster = CorosyncCluster(nodes, token=token, transport=transport.value, shm_size=shm_size)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None
    if strangers := set(on or ()) - set(range(1, nodes + 1)):
        raise typer.BadParameter(f"there is no node {min(strangers)}: they count from 1 to {nodes}")
    if on and not command:
        raise typer.BadParameter("--on says where to run a command, and there is none")
    if port + nodes > LAST_PORT:
        raise typer.BadParameter(f"--port and the number of nodes are at most {LAST_PORT} together")
    raise typer.Exit(_run(cluster, command or [], on or [], port))


def _run(cluster: CorosyncCluster, command: list[str], on: list[int], port: int) -> int:
    """Run the cluster until it is told to end or the command has ended; return the status for the shell."""
    from aiocpg.testing import ClusterError  # noqa: PLC0415 - see above

    try:
        with raising() as signals, cluster:
            if port:
                _open(cluster, port, aside=bool(command))
            if command:
                if _typed.heed(cluster):
                    typer.echo(f"all nodes are up; Ctrl-C ends all, {_typed.WORDS}", err=True)
                chosen = [node for node in cluster.nodes if not on or node.nodeid in on]
                return _everywhere.run(chosen, command, signals)
            for node in cluster.nodes:
                _show(node)
            hint = f", {_typed.WORDS}" if _typed.heed(cluster) else ""
            typer.echo(f"all nodes are up; Ctrl-C ends them{hint}", err=True)
            _sleep()
    except Told as told:
        return 128 + told.signum if command else 0
    except ClusterError as error:
        typer.echo(f"aiocpg: {error}", err=True)
        return 1
    except OSError as error:
        typer.echo(f"aiocpg: {error.filename or command[0]}: {error.strerror}", err=True)
        return 127


def _open(cluster: CorosyncCluster, port: int, *, aside: bool) -> None:
    """Open the port of each node to this host, and print where; aside, where stdout is a command's."""
    for nodeid, listener in _ports.listening([node.nodeid for node in cluster.nodes], port).items():
        _ports.carry(cluster.node(nodeid), port, listener)
        typer.echo(f"node {nodeid} port {port}: {_ports.address(listener)}", err=aside)


def _show(node: ClusterNode) -> None:
    """Print how to reach a node: its namespaces have no names, so the way is through its daemon."""
    typer.echo(f"node {node.nodeid} pid: {node.pid}")
    typer.echo(f"node {node.nodeid} log: /proc/{node.pid}/root/run/corosync-test/corosync.log")
    typer.echo(f"node {node.nodeid} run: {_way_in(node)} -- corosync-cpgtool")


def _way_in(node: ClusterNode) -> str:
    # Another terminal of an ordinary user is not in our user namespace yet.
    user = "--user --preserve-credentials " if _is_in_user_namespace() else ""
    return f"nsenter --target {node.pid} {user}--net --mount --root"


def _is_in_user_namespace() -> bool:
    """Whether user ids here are others than in the system, where each is itself."""
    with open("/proc/self/uid_map") as file:
        return file.read().split() != ["0", "0", "4294967295"]


def _sleep() -> NoReturn:
    while True:
        # A signal in the moment before the system call is seen after it only, so it must end.
        time.sleep(1)
