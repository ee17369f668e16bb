"""`forebay api`: the HTTP API for reading, as a container runs it, and the tokens for it."""

import json
import secrets
import sys
from datetime import datetime
from typing import Annotated

import typer

from forebay.cli.common_options import JsonOnly
from forebay.cli.failures import import_part
from forebay.cli.help_formatting import unwrapped
from forebay.core.errors import ConfigurationError

__all__ = ["api"]

api = typer.Typer(
    name="api",
    no_args_is_help=True,
    rich_markup_mode="rich",
    help=unwrapped("""Serve by HTTP what events, raw, waiting, dead and destinations show.

    For a console or a script without rights on NATS: it reads and changes nothing, and each token
    is for some namespaces and scopes. docs/api.md has all requests.

      forebay api token console --namespace acme --scope events --scope dead

      forebay api serve
    """),
)


@api.command()
def serve(
    *,
    settings: Annotated[
        bool,
        typer.Option("--settings", help="Print every setting with its default, and exit."),
    ] = False,
) -> None:
    """Run the API alone, as a container does.

    All settings come from the environment: FOREBAY_NATS_URL, FOREBAY_SHARDS, FOREBAY_API_TOKEN_DIR
    (the folder with the tokens' entries, a file each), FOREBAY_API_HOST and _PORT for requests,
    FOREBAY_API_ADMIN_HOST and _ADMIN_PORT for /livez, /readyz and /metrics: `forebay api serve
    --settings` lists them all.

    Examples:
      FOREBAY_API_TOKEN_DIR=tokens forebay api serve
    """
    if settings:
        from forebay.cli.settings_help import settings_text
        from forebay.runtime.settings import LogSettings, NatsSettings

        own = import_part("forebay_api.settings", "receiver").ApiSettings
        typer.echo(settings_text((own, NatsSettings, LogSettings)))
        raise typer.Exit
    raise typer.Exit(import_part("forebay_api.main", "receiver").run())


@api.command()
def token(
    name: Annotated[
        str, typer.Argument(metavar="NAME", help="Who uses it, such as console: the log names it.")
    ],
    *,
    namespace: Annotated[
        list[str],
        typer.Option(
            "--namespace",
            "-n",
            help="Whose endpoints it may read; may be given again. '*' for all.",
            show_default=False,
        ),
    ],
    scope: Annotated[
        list[str],
        typer.Option(
            help="What it may read: events, webhooks, waiting, dead, destinations; reveal for what "
            "people wrote. May be given again.",
            show_default=False,
        ),
    ],
    expires: Annotated[
        str | None,
        typer.Option(
            help="A date from which on it is none, such as 2027-01-01. Without: never.",
            show_default=False,
        ),
    ] = None,
    as_json: JsonOnly = False,
) -> None:
    """Make a token: it is shown once, and only its hash goes into the Secret.

    Nothing is stored by this: it prints the token for who is to use it, and the line that puts its
    entry into the Secret of the API, which takes it within a minute or two. To take a token back,
    remove its key from the Secret.

    Examples:
      forebay api token console --namespace acme --scope events --scope dead --scope waiting

      forebay api token oncall -n '*' --scope events --scope destinations --expires 2027-01-01
    """
    from forebay.core.api_tokens import TOKEN_BYTES, new_token

    text, digest = new_token(secrets.token_bytes(TOKEN_BYTES))
    entry = _entry(name, digest, namespace, scope, expires)
    if as_json:
        sys.stdout.write(json.dumps({"token": text, "entry": json.loads(entry)}) + "\n")
        return
    patch = json.dumps({"stringData": {f"{name}.json": entry}})
    sys.stdout.write(
        f"token, shown this once: {text}\n\n"
        "put its entry into the Secret that `api.tokensSecretName` names (make that once: kubectl "
        "-n forebay create secret generic forebay-api-tokens):\n\n"
        f"kubectl -n forebay patch secret forebay-api-tokens -p '{patch}'\n"
    )


def _entry(
    name: str, digest: str, namespaces: list[str], scopes: list[str], expires: str | None
) -> str:
    """Return what is kept of a token; raises ConfigurationError."""
    import msgspec

    from forebay.core.api_tokens import ApiScope, ApiToken, read_token
    from forebay.core.time_expressions import parse_time_expression

    known: list[ApiScope] = []
    for each in scopes:
        try:
            known.append(ApiScope(each))
        except ValueError:
            message = f"--scope {each!r} is none: there are {', '.join(ApiScope)}"
            raise ConfigurationError(message) from None
    now = datetime.now().astimezone()
    until = None if expires is None else parse_time_expression(expires, now)
    if until is not None and until <= now:
        message = f"--expires {expires!r} is over: give a day to come"
        raise ConfigurationError(message)
    made: ApiToken = ApiToken(
        name=name, sha256=digest, namespaces=tuple(namespaces), scopes=tuple(known), expires=until
    )
    entry = msgspec.json.encode(made)
    read_token(entry)
    return entry.decode()
