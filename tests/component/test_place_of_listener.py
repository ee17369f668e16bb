"""The place of a process: the same after a restart, another one for everybody else."""

import socket

import pytest

from forebay.runtime.process_start import place_of_listener

HOST = "127.63.1.1"
"""Of this test alone, so that nobody takes the port meanwhile."""


def test_who_listens_where_another_one_did_has_the_same_place() -> None:
    with socket.create_server((HOST, 0)) as first:
        place, address = place_of_listener(first), first.getsockname()
    with socket.create_server(address) as again:
        assert place_of_listener(again) == place


def test_two_that_listen_have_two_places(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server((HOST, 0)) as one, socket.create_server((HOST, 0)) as other:
        place = place_of_listener(one)
        assert place != place_of_listener(other)
        # Another pod, of a runtime that shows the same boot id and namespace to all.
        monkeypatch.setattr(socket, "gethostname", lambda: "forebay-processors-abc")
        assert place_of_listener(one) != place
