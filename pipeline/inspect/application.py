"""The web application: which page answers which address. Every request looks whether the corpus is still the one that was opened."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from contextlib import contextmanager
from http import HTTPStatus
from importlib.resources import files
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from pipeline.core.errors import SeimaiError, UsageError
from pipeline.core.language import LANGUAGES, choose_language, speak, translate, translate_message
from pipeline.corpus.built import refuse_damage
from pipeline.corpus.records import UnknownIdError
from pipeline.inspect import pages, records
from pipeline.inspect.guard import Guard
from pipeline.inspect.media import serve_bytes
from pipeline.inspect.opened import OpenedCorpus, Watched
from pipeline.inspect.rendering import make_environment, make_link
from pipeline.modalities.base import EXCERPT

Context = dict[str, Any]

PAGES = (("/", "Overview"), ("/records", "Records"), ("/clusters", "Duplicates"), ("/cleaning", "Cleaning"))
_STATIC = {"inspect.css": "text/css; charset=utf-8", "inspect.js": "text/javascript; charset=utf-8", "icon.png": "image/png"}
_TRIES = 3  # to answer a request while a build publishes
_LANGUAGE = "seimai-language"  # the cookie
_YEAR = 365 * 24 * 3600  # seconds


class _UnavailableError(Exception):
    """The corpus cannot be opened any more; the argument is the error that says why."""


class _NotFoundError(Exception):
    """Nothing in the corpus is called so; the argument is a UsageError that says it."""


class Inspector:
    """Answers requests about one corpus."""

    def __init__(self, watched: Watched) -> None:
        self._watched = watched

    def routes(self) -> list[Route]:
        pages_by_path: dict[str, tuple[str, Callable[[OpenedCorpus, Request], Context]]] = {
            "/": ("overview", lambda opened, request: pages.describe_overview(opened)),
            "/sources": ("sources", lambda opened, request: pages.list_sources(opened, _read_page(request))),
            "/source": ("source", lambda opened, request: _find(pages.describe_source, opened, request, "name")),
            "/records": ("records", lambda opened, request: pages.list_records(opened, _read_parameters(request))),
            "/rule": ("rule", lambda opened, request: _find(pages.describe_rule_page, opened, request, "name", _read_parameters(request))),
            "/clusters": ("clusters", lambda opened, request: pages.list_clusters(opened, _read_page(request))),
            "/cleaning": ("cleaning", lambda opened, request: pages.describe_cleaning(opened)),
            "/record": ("record", _describe_record),
            "/pair": ("comparison", lambda opened, request: _find(records.describe_pair, opened, request, "id", _is_all(request))),
            "/changes": ("comparison", lambda opened, request: _find(records.describe_changes, opened, request, "id", _is_all(request))),
        }  # fmt: skip
        routes = [Route(path, self._make_endpoint(*page), methods=["GET"]) for path, page in pages_by_path.items()]
        return [
            *routes,
            Route("/media", self._serve_media, methods=["GET"]),
            Route("/static/{name}", _serve_static, methods=["GET"]),
        ]

    def answer_error(self, request: Request, error: Exception) -> Response:
        """Return the page of an address that there is none of, or of a fault of Seimai, which goes to the terminal as well."""
        is_missing = isinstance(error, HTTPException)
        status = HTTPStatus.NOT_FOUND if is_missing else HTTPStatus.INTERNAL_SERVER_ERROR
        with _speak_as_asked(request):
            words = "There is no such page." if is_missing else "This is a fault of Seimai. The terminal says more."
            return self._render_error(request, status, translate(words))

    def _make_endpoint(
        self, template: str, describe: Callable[[OpenedCorpus, Request], Context]
    ) -> Callable[[Request], Response]:
        def endpoint(request: Request) -> Response:
            with _speak_as_asked(request):
                try:
                    response = self._answer(lambda opened: self._render(template, request, opened, describe(opened, request)))
                except _NotFoundError as error:
                    response = self._render_not_found(request, error.args[0])
                except _UnavailableError as error:
                    response = self._render_error(request, HTTPStatus.SERVICE_UNAVAILABLE, str(error.args[0]))
                except UsageError as error:
                    response = self._render_error(request, HTTPStatus.BAD_REQUEST, str(error))
                except SeimaiError as error:
                    response = self._render_error(request, HTTPStatus.INTERNAL_SERVER_ERROR, str(error))
            if (asked := request.query_params.get("lang")) in LANGUAGES:
                response.set_cookie(_LANGUAGE, str(asked), max_age=_YEAR, httponly=True, samesite="strict")
            return response

        return endpoint

    def _answer(self, make: Callable[[OpenedCorpus], Response]) -> Response:
        """Return what `make` makes of the corpus; once more where a build replaced it meanwhile."""
        for is_last in (False,) * (_TRIES - 1) + (True,):
            try:
                opened = self._watched.open()
            except SeimaiError as error:
                raise _UnavailableError(error) from None
            try:
                with refuse_damage(opened.built.shown, opened.built.folder):
                    response = make(opened)
            except (SeimaiError, OSError, _NotFoundError):
                if is_last or opened.is_current():
                    raise
                continue
            if opened.is_current():
                return response
        raise SeimaiError(f"{opened.built.shown} is being rebuilt: try again in a moment")

    def _serve_media(self, request: Request) -> Response:
        try:
            id = request.query_params.get("id", "")
            return self._answer(lambda opened: serve_bytes(records.read_bytes(opened, id), request.headers.get("range")))
        except (SeimaiError, _UnavailableError) as error:
            message = error.reason if isinstance(error, UnknownIdError) else str(error)
            with _speak_as_asked(request):
                message = translate_message(message)
            return Response(f"{message}\n", HTTPStatus.NOT_FOUND, media_type="text/plain")

    def _render(self, template: str, request: Request, opened: OpenedCorpus, context: Context) -> Response:
        built = opened.built
        unit = built.amount[1] if built.amount else None
        more = {
            "corpus": {
                "name": built.recorded_manifest.name,
                "title": built.recorded_manifest.title,
                "folder": str(built.folder),
            },
            "reopened": self._watched.reopened.strftime("%H:%M:%S") if self._watched.reopened else "",
            "total": opened.ledger.rows,
            "rows": opened.shards.rows,
            "unit": unit,
            "media_kind": opened.media_column,
            "text_words": {"text": "Text", "caption": "Caption", "transcript": "Transcript"}[opened.text_column],
            "excerpt_length": EXCERPT,
            "address": lambda page: make_link(request.url.path, _replace(_read_parameters(request), page=str(page))),
            "all_of_it": make_link(request.url.path, _replace(_read_parameters(request), all="1")),
            "losses_": context.get("losses", []),
        }
        return HTMLResponse(make_environment().get_template(f"{template}.html.j2").render(_frame(request) | more | context))

    def _render_not_found(self, request: Request, error: UsageError) -> Response:
        """Return the page of what the corpus does not have, with links to ids that may be meant."""
        if not isinstance(error, UnknownIdError):
            return self._render_error(request, HTTPStatus.NOT_FOUND, str(error))
        links = [(id, make_link(request.url.path, id=id)) for id in error.ids]
        return self._render_error(request, HTTPStatus.NOT_FOUND, error.reason, links)

    def _render_error(
        self, request: Request, status: HTTPStatus, message: str, links: Sequence[tuple[str, str]] = ()
    ) -> Response:
        """Return a page that says what is wrong. It needs no corpus that can be opened."""
        heading = translate("Not found" if status == HTTPStatus.NOT_FOUND else "This cannot be shown")
        context = {
            "corpus": {"name": self._watched.name, "title": "", "folder": ""},
            "reopened": "",
            "status": int(status),
            "heading": heading,
            "message": translate_message(message),
            "links": links,
        }
        page = make_environment().get_template("error.html.j2").render(_frame(request) | context)
        return HTMLResponse(page, status)


def make_application(watched: Watched, token: str, port: int) -> Guard:
    """Return the application for a corpus, which answers at `port` whoever has the token."""
    inspector = Inspector(watched)

    async def answer_error(request: Request, error: Exception) -> Response:
        return inspector.answer_error(request, error)

    application = Starlette(
        routes=inspector.routes(), exception_handlers={HTTPStatus.NOT_FOUND: answer_error, Exception: answer_error}
    )
    return Guard(application, token, port)


def _serve_static(request: Request) -> Response:
    name = request.path_params["name"]
    if name not in _STATIC:
        raise HTTPException(HTTPStatus.NOT_FOUND)
    return Response((files("pipeline.inspect") / "static" / name).read_bytes(), headers={"Content-Type": _STATIC[name]})


@contextmanager
def _speak_as_asked(request: Request):  # type: ignore[no-untyped-def]
    """Speak the language that the address asks for, else that of the cookie, of the browser, of the command."""
    of_browser = read_accepted(request.headers.get("accept-language", ""))
    asked = (request.query_params.get("lang"), request.cookies.get(_LANGUAGE), of_browser, choose_language())
    with speak(next(one for one in asked if one in LANGUAGES)):
        yield


def read_accepted(header: str) -> str | None:
    """Return which of our languages a browser likes best, by its Accept-Language; None where it names none of them.

    >>> [read_accepted(header) for header in ("ja,en-US;q=0.9,en;q=0.8", "fr, en;q=0.3, ja;q=0.4", "de", "ja;q=0, en;q=0.1")]
    ['ja', 'ja', None, 'en']
    """
    liked: dict[str, float] = {}
    for one in header.split(","):
        tag, _, weight = one.partition(";")
        language, quality = tag.strip().lower().partition("-")[0], weight.strip().removeprefix("q=") or "1"
        if language in LANGUAGES and re.fullmatch(r"[01](\.[0-9]{0,3})?", quality) and float(quality) > 0:
            liked[language] = max(float(quality), liked.get(language, 0.0))
    return max(liked, key=lambda language: liked[language], default=None)


def _frame(request: Request) -> Context:
    """Return what the frame of every page shows."""
    parameters = _read_parameters(request)
    return {
        "menu": PAGES,
        "current": request.url.path,
        "searched": request.query_params.get("q", "") if request.url.path == "/records" else "",
        "languages": {name: make_link(request.url.path, _replace(parameters, lang=name)) for name in LANGUAGES},
    }


def _read_parameters(request: Request) -> Sequence[tuple[str, str]]:
    return [(key, value) for key, value in request.query_params.multi_items() if key != "lang"]


def _replace(parameters: Sequence[tuple[str, str]], **values: str) -> dict[str, list[str]]:
    """Return parameters with other values for some."""
    replaced: dict[str, list[str]] = {}
    for key, value in parameters:
        if key not in values and value:
            replaced.setdefault(key, []).append(value)
    return replaced | {key: [value] for key, value in values.items()}


def _read_page(request: Request) -> int:
    given = request.query_params.get("page", "1")
    if not given.isascii() or not given.isdigit() or len(given) > 9 or given.strip("0") == "":
        raise UsageError(f"page = {given!r}: a number from 1 on is expected")
    return int(given)


def _is_all(request: Request) -> bool:
    return request.query_params.get("all") == "1"


def _describe_record(opened: OpenedCorpus, request: Request) -> Context:
    mark = request.query_params.get("mark")
    return _find(records.describe_record, opened, request, "id", _is_all(request), mark)


def _find(describe: Callable[..., Context], opened: OpenedCorpus, request: Request, name: str, *more: Any) -> Context:
    """Return what a page says of the thing that the address names. Raises _NotFoundError where there is none."""
    if not (value := request.query_params.get(name, "")):
        raise UsageError(f"this page needs {name}, of what it is to show")
    try:
        return describe(opened, value, *more)
    except UsageError as error:
        raise _NotFoundError(error) from None
