"""Help that fits every terminal: docstrings are wrapped for the code, not for its reader."""

import inspect

import typer

__all__ = ["unwrap", "unwrapped"]


def unwrapped(text: str) -> str:
    """Return a docstring with each paragraph on one line; indented lines stay as they are."""
    paragraphs = inspect.cleandoc(text).split("\n\n")
    return "\n\n".join(
        each if each.startswith(" ") or "\n " in each else each.replace("\n", " ")
        for each in paragraphs
    )


def unwrap(app: typer.Typer) -> None:
    """Do so for all verbs of an application."""
    for command in app.registered_commands:
        if command.callback is not None:
            command.help = unwrapped(command.callback.__doc__ or "")
