"""
Orders that count once: ``python examples/orders.py [PORT]``, on every node, or several times on one host.

A client gives its order a key (``Idempotency-Key``) and repeats it, to this instance or another, until it is told 200.
However often that was, the order stands in the list once, at the same place on all instances. An instance that is
stopped answers what it accepted; one that starts fetches the list from the others.

:class:`Orders` are the rules, those of ``counter.py`` with a list for a number; the rest carries letters and shows
pages. Docs: "Replicated state". The list is in memory: it lives as long as one instance that has it, and of two sides
that meet after a partition one yields. ``evs_journal.py`` shows what more can be had.
"""

from __future__ import annotations

import asyncio
import json
import logging
import sys
from collections.abc import AsyncIterator
from typing import Any

from aiohttp import web
from counter import Letter, Replica, post, receive, retry

import aiocpg
from aiocpg.aiohttp import group_context, group_key, liveness, readiness, websocket_fanout

GROUP = group_key("orders")
SECONDS = 10
"""What a request may wait until its order is in the list."""
MAX_KEY, MAX_TEXT = 200, 10_000
"""Characters."""

log = logging.getLogger("orders")


class Orders(Replica):
    """One copy of the list: the text of each order by its key, in the order in which they came first."""

    def __init__(self, me: aiocpg.Address) -> None:
        super().__init__(me)
        self.value: dict[str, str] = {}

    @staticmethod
    def is_change(change: object) -> bool:
        """Whether this is the key and the text of an order."""
        match change:
            case [str(key), str(text)]:
                return len(key) <= MAX_KEY and len(text) <= MAX_TEXT
        return False

    @staticmethod
    def is_value(value: object) -> bool:
        """Whether this may be a list of orders."""
        return isinstance(value, dict) and all(map(Orders.is_change, map(list, value.items())))

    def _count(self, change: list[str]) -> None:
        key, text = change
        # A new list each time: an answer to a newcomer may still be waiting to be sent, and must not change.
        if key not in self.value:
            self.value = {**self.value, key: text}
        self.count += 1


class Desk:
    """Takes orders, and tells who waits for one when it is in the list."""

    def __init__(self, me: aiocpg.Address) -> None:
        self.orders = Orders(me)
        self.outbox: asyncio.Queue[Letter] = asyncio.Queue()  # one task sends, so letters leave in order
        self._waiting: dict[asyncio.Future[None], str] = {}

    async def take(self, key: str, text: str) -> int:
        """Return the place of this order when it has one. Cancelled, or taken twice, it still counts once."""
        if not self._has(key):
            listed = asyncio.get_running_loop().create_future()
            self._waiting[listed] = key
            post(self.outbox, self.orders.add([key, text]))
            try:
                await listed
            finally:
                del self._waiting[listed]
        return list(self.orders.value).index(key) + 1

    def _has(self, key: str) -> bool:
        # Out of sync the list is about to be replaced.
        return self.orders.in_sync and key in self.orders.value

    async def read(self, group: aiocpg.Group) -> AsyncIterator[dict[str, Any]]:
        """Apply what comes, and hand out what pages show of it. Called again after a gap of our own."""
        fetched = False
        async for event in group.events():
            before = self.orders.value
            match event:
                case aiocpg.View(members=members, joined=joined):
                    # New to the others, at the beginning and behind a gap; or they are new to us.
                    is_new = not fetched or group.me in joined or aiocpg.Reason.NODEUP in joined.values()
                    fetched = True
                    post(self.outbox, self.orders.view(members, is_new))
                case aiocpg.Message(sender=sender, data=data):
                    post(self.outbox, receive(self.orders, sender, data))
            for listed, key in self._waiting.items():
                if self._has(key) and not listed.done():
                    listed.set_result(None)
            if (shown := self._change(before)) is not None:
                yield shown

    def _change(self, before: dict[str, str]) -> dict[str, Any] | None:
        after = self.orders.value
        if after is before:
            return None
        new = list(after.items())[len(before) :]
        if list(after)[: len(before)] != list(before):
            return all_of(after)
        return {"type": "more", "orders": new}


async def send(group: aiocpg.Group, outbox: asyncio.Queue[Letter]) -> None:
    """Send letters in order. It has to outlive whatever one of them meets with, or no order would be taken any more."""
    while True:
        letter = await outbox.get()
        try:
            await group.mcast(json.dumps(letter).encode())
        except aiocpg.ConnectionLostError as lost:
            # Not sent again: behind the gap the list is fetched, and clients repeat their orders.
            log.warning("a letter was lost with the daemon: %s", lost)
        except aiocpg.MessageTooBigError as error:
            log.error("the list cannot be handed on to others any more, it has grown too large: %s", error)


def all_of(orders: dict[str, str]) -> dict[str, Any]:
    """Tell a page to show these and no others."""
    return {"type": "all", "orders": list(orders.items())}


DESK = web.AppKey("DESK", Desk)


async def at_the_desk(app: web.Application) -> AsyncIterator[None]:
    """Be in the group with a desk, and send what it has to say."""
    desk = app[DESK] = Desk(app[GROUP].me)
    tasks = [asyncio.create_task(work) for work in (send(app[GROUP], desk.outbox), retry(desk.orders, desk.outbox))]
    yield
    # Requests are answered by now, so their orders are in the list.
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)


async def take(request: web.Request) -> web.Response:
    """Take an order: 200 and its place, or 503 and the client repeats it, here or elsewhere."""
    key = request.headers.get("Idempotency-Key")
    if not key:
        raise web.HTTPBadRequest(text="an order needs an Idempotency-Key, the same each time it is repeated")
    try:
        async with asyncio.timeout(SECONDS):
            text = await request.text()
            if not Orders.is_change([key, text]):
                raise web.HTTPRequestEntityTooLarge(
                    MAX_TEXT, len(text), text=f"a key has up to {MAX_KEY} characters, an order up to {MAX_TEXT}"
                )
            place = await request.app[DESK].take(key, text)
    except TimeoutError:
        raise web.HTTPServiceUnavailable(text="not in the list yet; repeat it with the same key") from None
    return web.json_response({"place": place})


async def ready(request: web.Request) -> web.Response:
    """Be ready when the list is that of the others, too."""
    if not request.app[DESK].orders.in_sync:
        return web.json_response({"ready": False, "reasons": ["fetching the list"]}, status=503)
    return await readiness(request)


def application() -> web.Application:
    """Make the application. Nothing is opened before it starts, so servers may fork in between."""
    app = web.Application()
    app.cleanup_ctx.extend([group_context("orders", reconnect=True), at_the_desk])

    def read(group: aiocpg.Group) -> AsyncIterator[dict[str, Any]]:
        return app[DESK].read(group)

    fanout = websocket_fanout(
        app,
        "orders",
        source=read,
        encode=lambda shown, id: json.dumps({**shown, "id": id}),
        snapshot=lambda: json.dumps(all_of(app[DESK].orders.value)),
    )
    app.router.add_get("/", page)
    app.router.add_post("/orders", take)
    app.router.add_get("/events", fanout.handler)
    app.router.add_get("/ready", ready)
    app.router.add_get("/live", liveness)
    return app


async def page(request: web.Request) -> web.Response:
    """Show the list as it grows."""
    return web.Response(text=PAGE, content_type="text/html")


PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>Orders</title>
<form id="form">
<label>Order <input id="text" required maxlength="10000" autocomplete="off"></label> <button>Send</button>
</form>
<p id="state" role="status"></p>
<ol id="list"></ol>
<script>
let last = null, pause = 250;

function connect() {
  const url = new URL("events", location);
  url.protocol = url.protocol.replace("http", "ws");
  if (last) url.searchParams.set("after", last);
  const socket = new WebSocket(url);
  socket.onmessage = ({data}) => {
    const told = JSON.parse(data);
    last = told.id ?? last;
    pause = 250;
    if (told.type === "all") list.replaceChildren();
    for (const [, text] of told.orders ?? []) {
      const item = document.createElement("li");
      item.textContent = text;
      list.append(item);
    }
  };
  socket.onclose = () => {
    setTimeout(connect, pause * (0.5 + Math.random() / 2));
    pause = Math.min(2 * pause, 5000);
  };
}

function newKey() {  // randomUUID() is there for https only
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

async function order(key, body) {
  for (let wait = 250; ; wait = Math.min(2 * wait, 5000)) {
    const headers = {"Idempotency-Key": key};
    const answer = await fetch("orders", {method: "POST", headers, body}).catch(() => null);
    if (answer?.ok) return await answer.json();
    state.textContent = `sending "${body}" again`;
    await new Promise((resolve) => setTimeout(resolve, wait));
  }
}

form.onsubmit = async (event) => {
  event.preventDefault();
  const body = text.value;
  form.reset();
  const {place} = await order(newKey(), body);
  state.textContent = `"${body}" is number ${place}`;
};

connect();
</script>
</html>
"""


if __name__ == "__main__":
    port = int(sys.argv[1]) if len(sys.argv) > 1 else 8080
    web.run_app(application(), port=port, shutdown_timeout=2 * SECONDS)
