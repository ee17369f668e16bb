"""Python's usual clients with their defaults; the first argument says which one."""

import asyncio
import http.client
import sys
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit


def with_http_client(url: str, token: str, bodies: list[bytes]) -> Iterator[int]:
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.netloc, timeout=10)
    for body in bodies:
        connection.request("POST", parts.path, body, {"Authorization": token})
        answer = connection.getresponse()
        answer.read()
        yield answer.status


def with_urllib(url: str, token: str, bodies: list[bytes]) -> Iterator[int]:
    for body in bodies:
        request = urllib.request.Request(url, body, {"Authorization": token})
        with urllib.request.urlopen(request, timeout=10) as answer:
            answer.read()
            yield answer.status


def with_urllib3(url: str, token: str, bodies: list[bytes]) -> Iterator[int]:
    import urllib3

    pool = urllib3.PoolManager()
    for body in bodies:
        yield pool.request("POST", url, body=body, headers={"Authorization": token}).status


def with_requests(url: str, token: str, bodies: list[bytes]) -> Iterator[int]:
    import requests

    with requests.Session() as session:
        for body in bodies:
            yield session.post(
                url, data=body, headers={"Authorization": token}, timeout=10
            ).status_code
        # A generator is sent in chunks.
        for body in bodies:
            yield session.post(
                url, data=iter([body]), headers={"Authorization": token}, timeout=10
            ).status_code


def with_httpx(url: str, token: str, bodies: list[bytes]) -> Iterator[int]:
    import httpx

    with httpx.Client() as client:
        for body in bodies:
            yield client.post(url, content=body, headers={"Authorization": token}).status_code


def with_aiohttp(url: str, token: str, bodies: list[bytes]) -> Iterator[int]:
    import aiohttp

    async def all_of_them() -> list[int]:
        async with aiohttp.ClientSession(headers={"Authorization": token}) as session:
            found = []
            for body in bodies:
                async with session.post(url, data=body) as answer:
                    await answer.read()
                    found.append(answer.status)
            return found

    yield from asyncio.run(all_of_them())


CLIENTS: dict[str, Callable[[str, str, list[bytes]], Iterator[int]]] = {
    "http.client": with_http_client,
    "urllib": with_urllib,
    "urllib3": with_urllib3,
    "requests": with_requests,
    "httpx": with_httpx,
    "aiohttp": with_aiohttp,
}

if __name__ == "__main__":
    which, url, token, *files = sys.argv[1:]
    for status in CLIENTS[which](url, token, [Path(file).read_bytes() for file in files]):
        print(status)
