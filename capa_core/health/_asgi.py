"""`/health` and `/metrics` as an ASGI application (https://asgi.readthedocs.io/, version 3)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from capa_core.health._pages import Page, Pages

Receive = Callable[[], Awaitable[Mapping[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]


class AsgiHealth(Pages):
    """An application for any ASGI server on asyncio, alone or mounted below a path of another one.

    Components are asked in threads, so that the loop goes on.
    """

    async def __call__(self, scope: Mapping[str, Any], receive: Receive, send: Send) -> None:
        """Answer one request, or the events of the server's start and end."""
        if scope["type"] == "lifespan":
            await _live(receive, send)
        elif scope["type"] == "http":
            await self._answer(scope, send)
        else:
            raise NotImplementedError(f"{scope['type']} is not served: there are GET /health and /metrics")

    async def _answer(self, scope: Mapping[str, Any], send: Send) -> None:
        import asyncio

        path = _below(scope.get("root_path", ""), scope["path"])
        page = await asyncio.to_thread(self.page, scope["method"], path)
        await send({"type": "http.response.start", "status": page.status.value, "headers": _bytes(page)})
        await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else page.body})


def _below(root: str, path: str) -> str:
    """Return *path* without *root*, below which the application is mounted; some servers have removed it already."""
    return path.removeprefix(root) if f"{path}/".startswith(f"{root}/") else path


async def _live(receive: Receive, send: Send) -> None:
    while (event := (await receive())["type"]) != "lifespan.shutdown":
        await send({"type": f"{event}.complete"})
    await send({"type": "lifespan.shutdown.complete"})


def _bytes(page: Page) -> list[tuple[bytes, bytes]]:
    return [(name.lower().encode(), value.encode()) for name, value in page.headers]
