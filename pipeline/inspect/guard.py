"""Who may ask, and what: this machine's browser with the token, GET and HEAD, under the name that the address has."""

from __future__ import annotations

from http import HTTPStatus
from secrets import compare_digest
from typing import Any

from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

TOKEN = "token"  # the parameter of the first address
# What pages may load: what this application serves, nothing inline, nothing from elsewhere; and nobody may show them in a frame.
_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; media-src 'self'; form-action 'self'; base-uri 'none'; "
        "frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}
# The cookie is SameSite=Strict: a browser that came from another site sends it only with a request that one of our pages makes.
_ENTRANCE = (
    '<!doctype html><meta charset="utf-8"><link rel="icon" href="/static/icon.png"><title>Seimai</title>'
    '<meta http-equiv="refresh" content="0;url=/"><a href="/">Seimai</a>\n'
)


class Guard:
    """Answers what may not be asked, and gives every answer its headers. `port`: that of the address."""

    def __init__(self, app: ASGIApp, token: str, port: int) -> None:
        self._app, self._token = app, token
        self._hosts = {f"127.0.0.1:{port}", f"localhost:{port}"}
        self._cookie = f"seimai-inspect-{port}"  # browsers do not tell ports apart

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":  # a WebSocket: refused before it is accepted
            await send({"type": "websocket.close", "code": 1008})
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(_HEADERS)
            await send(message)

        answer = self._refuse(Request(scope))
        await (answer or self._app)(scope, receive, send_with_headers)

    def _refuse(self, request: Request) -> Response | None:
        """Return the answer to a request that is not to be served; None where it is."""
        if request.headers.getlist("host") not in [
            [host] for host in self._hosts
        ]:  # another name may lead here (DNS rebinding)
            return _answer(HTTPStatus.BAD_REQUEST, "this address is not known here")
        given = request.query_params.get(TOKEN)
        if given is not None and self._is_token(given):
            entrance = HTMLResponse(_ENTRANCE)
            entrance.set_cookie(self._cookie, self._token, httponly=True, samesite="strict", path="/")
            return entrance if request.method in ("GET", "HEAD") else _refuse_method()
        if not self._is_token(request.cookies.get(self._cookie, "")):
            return _answer(HTTPStatus.FORBIDDEN, "open the address that the command printed: it has the token")
        if request.headers.get("sec-fetch-site", "none") not in (
            "none",
            "same-origin",
        ):  # another port is the same site to a cookie
            return _answer(HTTPStatus.FORBIDDEN, "open the address that the command printed: another page led here")
        return None if request.method in ("GET", "HEAD") else _refuse_method()

    def _is_token(self, given: str) -> bool:
        return compare_digest(given.encode("utf-8", "surrogatepass"), self._token.encode())


def _answer(status: HTTPStatus, words: str, **headers: Any) -> Response:
    return PlainTextResponse(f"{status.phrase}: {words}\n", status, headers)


def _refuse_method() -> Response:
    return _answer(HTTPStatus.METHOD_NOT_ALLOWED, "nothing can be changed here", Allow="GET, HEAD")
