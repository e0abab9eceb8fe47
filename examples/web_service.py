"""
A chat in the browser, on every node: ``python examples/web_service.py [PORT]``, or several workers under gunicorn::

    gunicorn --chdir examples --worker-class aiohttp.GunicornWebWorker --workers 3 "web_service:application()"

Whatever instance a page comes from, it shows the same lines in the same order, and who is there. ``AIOCPG_URL`` says
which world it is; ``local://demo`` needs nothing installed.
"""

from __future__ import annotations

import asyncio
import sys

from aiohttp import web

import aiocpg
from aiocpg.aiohttp import group_context, group_key, liveness, readiness, websocket_fanout

ROOM = group_key("room")
SECONDS = 5
"""What a request may wait for its message to come back."""


def application() -> web.Application:
    """Make the application. Nothing is opened before it starts, so servers may fork in between."""
    app = web.Application()
    app.cleanup_ctx.append(group_context("room", reconnect=True))
    fanout = websocket_fanout(app, "room")
    app.router.add_get("/", page)
    app.router.add_post("/say", say)
    app.router.add_get("/events", fanout.handler)
    app.router.add_get("/ready", readiness)
    app.router.add_get("/live", liveness)
    return app


async def say(request: web.Request) -> web.Response:
    """Send the body to everybody; 200 says that it stands in the order."""
    try:
        async with asyncio.timeout(SECONDS):
            receipt = await request.app[ROOM].mcast_confirmed(await request.read())
    except aiocpg.MessageTooBigError as error:
        raise web.HTTPRequestEntityTooLarge(error.limit, error.size) from None
    except (TimeoutError, aiocpg.EngineError) as error:
        # It may have been sent all the same. Who must know for sure sends a key with it; see orders.py.
        return web.json_response({"unknown": str(error) or "no answer in time"}, status=503)
    return web.json_response({"position": receipt.position})


async def page(request: web.Request) -> web.Response:
    """Show the page."""
    return web.Response(text=PAGE, content_type="text/html")


PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>Room</title>
<p>Members: <output id="members"></output> <output id="link"></output></p>
<form id="form"><label>Line <input id="line" autocomplete="off"></label> <button>Say</button></form>
<ol id="lines" aria-live="polite"></ol>
<script>
let last = null, pause = 250;

function connect() {
  const url = new URL("events", location);
  url.protocol = url.protocol.replace("http", "ws");
  if (last) url.searchParams.set("after", last);
  const socket = new WebSocket(url);
  socket.onmessage = ({data}) => {
    const told = JSON.parse(data);
    last = told.id;
    pause = 250;
    show(told);
  };
  // Whatever the code was, come back; behind a load balancer perhaps to another instance.
  socket.onclose = () => {
    link.textContent = "(no connection to this instance; trying again)";
    setTimeout(connect, pause * (0.5 + Math.random() / 2));
    pause = Math.min(2 * pause, 5000);
  };
}

function show(told) {
  if (told.type === "message") add(`${told.sender}: ${told.payload ?? "(no text)"}`);
  if (told.type === "gap") add(`some lines are missing here: ${told.reason}`);
  if (told.type === "away") add(`this instance is cut off from the others: ${told.reason}`);
  if (told.type === "hello") link.textContent = "";
  const view = told.type === "view" ? told : told.type === "hello" ? told.view : null;
  if (view) members.textContent = view.members.join(" ");
}

function add(text) {
  const item = document.createElement("li");
  item.textContent = text;
  lines.append(item);
}

form.onsubmit = async (event) => {
  event.preventDefault();
  const answer = await fetch("say", {method: "POST", body: line.value});
  if (answer.ok) line.value = "";
};

connect();
</script>
</html>
"""


if __name__ == "__main__":
    port = int(sys.argv[1]) if len(sys.argv) > 1 else 8080
    web.run_app(application(), port=port, shutdown_timeout=2 * SECONDS)
