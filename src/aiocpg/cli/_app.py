"""The program ``aiocpg``: what all commands share, and the list of their groups."""

from __future__ import annotations

import typer

import aiocpg

from . import _bench, _broker, _chat, _cluster, _doctor, _listen, _ping, _send, _show, _top

# Plain text, in errors as well: what is read by people here is read by programs elsewhere.
app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for command in (
    _chat.chat,
    _listen.listen,
    _send.send,
    _show.groups,
    _show.members,
    _show.rings,
    _ping.ping,
    _top.top,
    _bench.bench,
    _doctor.doctor,
    _broker.broker,
):
    app.command()(command)
app.add_typer(_cluster.app, name="cluster")


def _show_version(asked: bool) -> None:
    if asked:
        typer.echo(aiocpg.__version__)
        raise typer.Exit


@app.callback()
def _options(
    version: bool = typer.Option(False, "--version", is_eager=True, callback=_show_version, help="Print the version."),
) -> None:
    """Group messaging over Corosync."""
