"""
A chat behind FastAPI: ``uvicorn --app-dir examples fastapi_service:app``, on every node, or several times on one.

``AIOCPG_URL`` says which world it is; ``local://demo`` needs nothing installed.
"""

from __future__ import annotations

import asyncio
import json
from typing import Annotated

from fastapi import Body, FastAPI, HTTPException, Request, WebSocket

import aiocpg
from aiocpg.asgi import group_lifespan, group_of, liveness, readiness

SECONDS = 5
"""What a request may wait for its message to come back."""

app = FastAPI(lifespan=group_lifespan("room", reconnect=True))
app.add_route("/ready", readiness)
app.add_route("/live", liveness)


@app.post("/say")
async def say(request: Request, line: Annotated[str, Body(media_type="text/plain")]) -> dict[str, int]:
    """Send a line to everybody; 200 says that it stands in the order."""
    try:
        async with asyncio.timeout(SECONDS):
            receipt = await group_of(request, "room").mcast_confirmed(line.encode())
    except aiocpg.MessageTooBigError as error:
        raise HTTPException(413, str(error)) from None
    except (TimeoutError, aiocpg.EngineError) as error:
        raise HTTPException(503, f"it may have been sent or not: {error or 'no answer in time'}") from None
    return {"position": receipt.position}


@app.websocket("/events")
async def events(socket: WebSocket) -> None:
    """Show the lines, in the order that all instances show."""
    await socket.accept()
    # A stream for each browser, begun here; what one does not read in time costs nobody else anything.
    async with group_of(socket, "room").messages(max_buffered_bytes=1_000_000) as messages:
        telling = asyncio.create_task(tell(socket, messages))
        try:
            # Also what tells that the browser has gone or the server is stopping.
            while (await socket.receive())["type"] != "websocket.disconnect":
                pass
        finally:
            telling.cancel()


async def tell(socket: WebSocket, messages: aiocpg.Stream[aiocpg.Message]) -> None:
    """Send messages until there are none; then say why."""
    while True:
        try:
            async for message in messages:
                line = message.data.decode(errors="replace")  # other programs may be in the group, and send any bytes
                told = {"position": message.position, "sender": str(message.sender), "line": line}
                await socket.send_text(json.dumps(told))
            await socket.close(1001)
            return
        except aiocpg.ConnectionLostError as gap:  # with reconnect it goes on behind the gap
            await socket.send_text(json.dumps({"missing": str(gap)}))
        except aiocpg.SlowConsumerError:
            await socket.close(1013)
            return
        except aiocpg.EngineError as error:
            await socket.close(1011, str(error)[:100])
            return
