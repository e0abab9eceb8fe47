"""The command: one instance for a node of yours, or three of them on a stage."""

from __future__ import annotations

import argparse
import asyncio
import socket
from pathlib import Path

from aiohttp import web

from .service import GROUP, make_app
from .stage import on_stage

LAST_ANSWERS = 12
"""Seconds for requests in progress when the program is to end: a little more than one may take."""


def main() -> None:
    """Run what the arguments say until SIGINT or SIGTERM."""
    options = _parser().parse_args()
    if options.local or options.cluster:
        asyncio.run(on_stage(cluster=options.cluster, port=options.port))
        return
    app = make_app(options.name, url=options.url, group=options.group, network=options.network)
    if options.fd is not None:
        web.run_app(app, sock=socket.socket(fileno=options.fd), print=None, shutdown_timeout=LAST_ANSWERS)
    else:
        web.run_app(app, host=options.host, port=options.port, shutdown_timeout=LAST_ANSWERS)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m examples.dashboard", description=__doc__)
    stages = parser.add_mutually_exclusive_group()
    stages.add_argument("--local", action="store_true", help="three instances on this host; nothing to install")
    stages.add_argument("--cluster", action="store_true", help="three instances on a three-node Corosync of their own")
    parser.add_argument("--port", type=int, default=8081, help="on a stage that of the first; %(default)s")
    one = parser.add_argument_group("one instance")
    one.add_argument("--host", default="127.0.0.1", help="address to listen on; %(default)s")
    one.add_argument("--fd", type=int, help="open socket to listen on instead of --host and --port")
    one.add_argument("--url", help="what to connect to; $AIOCPG_URL or corosync:// otherwise")
    one.add_argument("--name", default=socket.gethostname(), help="what it is called; %(default)s")
    one.add_argument("--group", default=GROUP, help="%(default)s")
    one.add_argument("--network", type=Path, metavar="SOCKET", help="who can cut nodes off, see network.py")
    return parser


if __name__ == "__main__":
    main()
