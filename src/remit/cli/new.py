"""``remit new``: a first version of something, to be edited."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from remit.cli.common import print_json, settings_of, tools_from_here

if TYPE_CHECKING:
    from remit.app.scaffolding import Made, Place, Said
    from remit.catalog.curl import CurlRequest
    from remit.settings import Settings

app = typer.Typer(help="Write a first version of a tool.", no_args_is_help=True)

_Path = Annotated[str, typer.Option(metavar="PATH")]


@app.callback()
def group() -> None:
    """Write a first version of a tool."""


def _method(name: str) -> Any:
    return typer.Option(
        f"--{name}", metavar="PATH", help=f"It makes a {name.upper()} request there: /customers/{{id}}."
    )


@app.command("tool")
def new_tool(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="The tool's name, a verb first: get_customer.", metavar="NAME")],
    file: Annotated[
        Path | None, typer.Option("--file", metavar="FILE", help="The tool file it goes to, new or not.")
    ] = None,
    curl: Annotated[
        str, typer.Option("--from-curl", metavar="COMMAND", help="Make it of a curl command; - reads standard input.")
    ] = "",
    get: Annotated[str, _method("get")] = "",
    post: Annotated[str, _method("post")] = "",
    put: Annotated[str, _method("put")] = "",
    patch: Annotated[str, _method("patch")] = "",
    delete: Annotated[str, _method("delete")] = "",
    base_url: Annotated[
        str, typer.Option("--base-url", metavar="URL", help="The API, where no file calls it yet.")
    ] = "",
    audience: Annotated[
        str,
        typer.Option(
            "--audience", metavar="NAME", help="For a new file: whom its tokens are for (default: the API's origin)."
        ),
    ] = "",
    scopes: Annotated[
        list[str] | None,
        typer.Option("--scope", metavar="SCOPE", help="A scope that its tokens need; may be repeated."),
    ] = None,
    title: Annotated[str, typer.Option("--title", help="For people.")] = "",
    description: Annotated[
        str, typer.Option("--description", help="For the model: what it does and when to use it.")
    ] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print what was written as JSON.")] = False,
) -> None:
    """Write a tool into a tool file: from a method and a path, or from a curl command that works.

    What varied in the command becomes an argument with its type. Tokens, cookies and keys in it are left out, and told.
    On a terminal, what is missing is asked for.
    """
    from remit.app.scaffolding import Said, check_name, make, write

    settings = tools_from_here(settings_of(context, needed=False))
    check_name(settings, name)
    methods = {"GET": get, "POST": post, "PUT": put, "PATCH": patch, "DELETE": delete}
    request, place = _request_and_place(settings, methods, curl, file, base_url)
    said = Said(
        "as it was tried" if curl else "a call",
        title=title,
        description=description,
        audience=audience,
        scopes=tuple(scopes or ()),
    )
    if sys.stdin.isatty() and not as_json:
        said = _asked(said, place)
    made = make(settings, name, request, place, said)
    written = write(made)
    if as_json:
        print_json(
            {
                "tool": name,
                "where": made.tool.where,
                "written": [path.as_posix() for path in written],
                "left_out": made.left_out,
            }
        )
        return
    _print(made, written, user=next(iter(settings.sts.users), "USER"))


# ── the request and its place ────────────────────────────────────────────────────────────


def _request_and_place(
    settings: Settings, methods: dict[str, str], curl: str, file: Path | None, base_url: str
) -> tuple[CurlRequest, Place]:
    from remit.app.scaffolding import place_of

    given = [(method, path) for method, path in methods.items() if path]
    if len(given) + bool(curl) > 1:
        raise typer.BadParameter("--from-curl and the options of the methods exclude each other")
    if curl:
        request = _read(curl)
        place = place_of(settings, file, url=request.url, base_url=base_url)
    else:
        method, path = given[0] if given else _asked_request()
        if not path.startswith("/"):
            raise typer.BadParameter(f"the path {path!r} does not begin with /")
        place = place_of(settings, file, url="", base_url=base_url)
        if place is None:
            file, base_url = _asked_api(settings, file)
            place = place_of(settings, file, url="", base_url=base_url)
        request = _request(method, path, place)
    if place is None:
        raise typer.BadParameter("the API has no address", param_hint="--base-url")
    return request, place


def _read(command: str) -> CurlRequest:
    from remit.catalog.curl import CurlInvalid, read_curl

    try:
        return read_curl(sys.stdin.read() if command == "-" else command)
    except CurlInvalid as error:
        raise typer.BadParameter(str(error), param_hint="--from-curl") from None


def _request(method: str, path: str, place: Place | None) -> CurlRequest:
    from remit.catalog.curl import CurlRequest

    return CurlRequest(method, f"{place.base_url if place else ''}{path}")


# ── what is asked for on a terminal ──────────────────────────────────────────────────────


def _asked_request() -> tuple[str, str]:
    if not sys.stdin.isatty():
        raise typer.BadParameter("say what it calls: --get PATH, --post PATH …, or --from-curl COMMAND")
    answer = typer.prompt("Which request? For example: GET /customers/{customer_id}", err=True)
    method, _, path = str(answer).strip().partition(" ")
    if method.upper() not in {"GET", "POST", "PUT", "PATCH", "DELETE"}:
        raise typer.BadParameter(f"{method!r} is no method of a tool")
    return method.upper(), path.strip()


def _asked_api(settings: Settings, file: Path | None) -> tuple[Path | None, str]:
    """The file of an API that is called already, or the address of another one."""
    from remit.app.scaffolding import known_apis

    apis = known_apis(settings) if file is None else {}
    if not sys.stdin.isatty():
        known = f" (there are {', '.join(map(str, apis.values()))})" if apis else ""
        raise typer.BadParameter(f"say which API: --file with one that is there{known}, or --base-url URL")
    names = f"{', '.join(apis)}, or the URL of another" if apis else "its URL"
    answer = str(typer.prompt(f"Which API? {names}", err=True)).strip()
    return (apis[answer], "") if answer in apis else (file, answer)


def _asked(said: Said, place: Place) -> Said:
    """The rest; an empty answer leaves it as it is."""
    from dataclasses import replace

    described = said.description or typer.prompt("What does it do, and when is it used?", default="", err=True)
    if place.is_new and not said.audience:
        said = replace(said, audience=typer.prompt("Whom are its tokens for? (audience)", default="", err=True))
    if place.is_new and not said.scopes:
        asked = str(typer.prompt("Which scopes do they need?", default="", err=True))
        said = replace(said, scopes=tuple(asked.replace(",", " ").split()))
    return replace(said, description=described)


# ── what was done ────────────────────────────────────────────────────────────────────────


def _print(made: Made, written: list[Path], *, user: str) -> None:
    from remit.cli.render import plain

    for path in written:
        typer.echo(path.as_posix())
    for what in made.left_out:
        typer.echo(plain(f"left out: {what}"), err=True)
    if made.left_out:
        typer.echo("each call carries a token of its own, exchanged for the user's", err=True)
    steps = [
        f"remit lint {made.place.file.as_posix()}",
        f"remit test {made.tool.name}",
        f"{_call(made, user)} --dry-run",
    ]
    typer.echo("\nNext:  " + "\n       ".join(steps), err=True)


def _call(made: Made, user: str) -> str:
    """How the tool is called with the arguments of its example."""
    import json
    import shlex

    words = [
        f"{name}:=null" if value is None else f"{name}={value if isinstance(value, str) else json.dumps(value)}"
        for name, value in made.tool.examples[-1].arguments.items()
    ]
    return shlex.join(["remit", "call", made.tool.name, *words, "--as", user])
