"""What one endpoint has in flight leaves places to the others, whatever its own limit is."""

from forebay.core.tables import Authentication, ReceiverRoute
from forebay_receiver.services.routes import ENDPOINT_SHARE
from forebay_receiver.settings import ReceiverSettings
from support.inputs.tables import route
from support.receiver.raw_http import request_bytes
from support.receiver.receiver_in_process import InProcessReceiver, MemoryTransport, statuses_in

PLACES = 8
FLOODED = "demo/flooded"
OTHER = "demo/other"


def open_route(name: str) -> ReceiverRoute:
    """Return an endpoint that may have more in flight than the whole process."""
    return route(name, authentication=Authentication(none=True), max_in_flight=10 * PLACES)


def post(receiver: InProcessReceiver, name: str, body: bytes) -> MemoryTransport:
    """Send a webhook over a connection of its own, and leave that open."""
    protocol, transport = receiver.connect()
    protocol.data_received(request_bytes("POST", f"/v1/webhooks/{name}", body=body))
    return transport


async def test_an_endpoint_takes_no_more_than_its_share_of_the_places() -> None:
    settings = ReceiverSettings(max_in_flight=PLACES)
    receiver = InProcessReceiver(open_route(FLOODED), open_route(OTHER), settings=settings)
    receiver.store.answers_on_request = True
    share = int(PLACES * ENDPOINT_SHARE)
    flood = [post(receiver, FLOODED, b"%d" % number) for number in range(PLACES)]
    neighbour = post(receiver, OTHER, b"{}")
    # Those above the share are answered at once, and the neighbour's is being stored.
    assert [statuses_in(bytes(each.written)) for each in flood[share:]] == [[503]] * (
        PLACES - share
    )
    assert receiver.store.bodies == [*(b"%d" % number for number in range(share)), b"{}"]
    while receiver.store.unanswered:
        receiver.store.answer_next()
    assert statuses_in(bytes(neighbour.written)) == [200]
    assert [statuses_in(bytes(each.written)) for each in flood[:share]] == [[200]] * share
