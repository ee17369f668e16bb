"""A program that a test runs to its end."""

import asyncio

__all__ = ["CommandFailedError", "run"]


class CommandFailedError(AssertionError):
    """A program said no; its words are in the message."""


async def run(*arguments: str, text: str | None = None, within: float = 60.0) -> str:
    """Run a program and return what it printed.

    Raises:
        CommandFailedError: where it ended with an error, or not in time.
    """
    process = await asyncio.create_subprocess_exec(
        *arguments,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(within):
            out, err = await process.communicate(None if text is None else text.encode())
    except TimeoutError as error:
        process.kill()
        await process.wait()
        message = f"{' '.join(arguments)} did not end within {within:g} s"
        raise CommandFailedError(message) from error
    if process.returncode:
        message = f"{' '.join(arguments)}: {err.decode().strip()}\n{out.decode()}"
        raise CommandFailedError(message)
    return out.decode()
