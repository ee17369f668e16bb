# ruff: noqa: ARG001, ASYNC251, D101, D102  # handlers take an event, whatever they do
"""Handlers that do what handlers do: right, wrong, too long, and worse."""

import asyncio
import threading
import time
from os import system  # noqa: F401  # a name that a manifest must not reach

from forebay.handler import Event, Reject, Retry

calls: list[str] = []
"""What was called, in order."""

threads: set[str] = set()
release = threading.Event()
"""Lets what hangs go on."""


async def open_pools() -> None:
    calls.append("start")


def close_pools() -> None:
    calls.append("stop")


async def exit_at_stop() -> None:
    raise SystemExit(3)


def fail_to_open() -> None:
    message = "secret text"
    raise ValueError(message)


async def take(event: Event) -> None:
    threads.add(threading.current_thread().name)
    calls.append(event.id)


def take_plain(event: Event) -> None:
    threads.add(threading.current_thread().name)
    calls.append(event.id)


async def ask_again(event: Event) -> None:
    message = "the shop is busy 15550001234"
    raise Retry(message, after=7.5)


async def reject(event: Event) -> None:
    message = "no such customer"
    raise Reject(message)


async def fail(event: Event) -> None:
    message = f"private {event.itemkey}"
    raise KeyError(message)


def fail_plain(event: Event) -> None:
    raise KeyError(event.itemkey)


def stop_iteration(event: Event) -> None:
    raise StopIteration


async def exit_process(event: Event) -> None:
    raise SystemExit(3)


def exit_plain(event: Event) -> None:
    raise SystemExit(3)


async def cancel_itself(event: Event) -> None:
    raise asyncio.CancelledError


async def time_out_by_itself(event: Event) -> None:
    raise TimeoutError


async def sleep(event: Event) -> None:
    await asyncio.sleep(3600)


async def refuse_to_end(event: Event) -> None:
    while not release.is_set():
        try:
            await asyncio.sleep(0.01)
        except asyncio.CancelledError:
            continue


def hang(event: Event) -> None:
    release.wait(30)


async def block(event: Event) -> None:
    time.sleep(2.5)


def return_awaitable(event: Event) -> object:
    return take(event)


async def wait_50_ms(event: Event) -> None:
    await asyncio.sleep(0.05)


class Callable:
    async def __call__(self, event: Event) -> None:
        calls.append(event.id)


an_object = Callable()
no_function = 5
