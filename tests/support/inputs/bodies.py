"""Webhook bodies by the thousand, for hypothesis: of known shapes, and of shapes nobody expects."""

import json
from dataclasses import dataclass, field
from typing import Any

from hypothesis import strategies as st

from support.inputs.corpus import PAYLOADS

__all__ = ["Webhook", "json_values", "odd_bodies", "of_json", "webhooks"]

Json = Any

LONG = 3000
"""Characters of a property that is too large to go with every item."""


def of_json(value: Json) -> bytes:
    """Return a value as a provider would send it."""
    return json.dumps(value, ensure_ascii=False).encode()


def json_values() -> st.SearchStrategy[Json]:
    """Draw any JSON value."""
    leaves = (
        st.none()
        | st.booleans()
        | st.integers()
        | st.integers(min_value=10**18, max_value=10**40)
        | st.floats(allow_nan=False, allow_infinity=False)
        | st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
        | st.sampled_from(["", "1767225600", "99999999999999999999", "messages", "history"])
    )
    return st.recursive(
        leaves,
        lambda inner: (
            st.lists(inner, max_size=4) | st.dictionaries(_property_names(), inner, max_size=4)
        ),
        max_leaves=12,
    )


def _property_names() -> st.SearchStrategy[str]:
    known = [
        *("id", "from", "type", "timestamp", "field", "value", "entry", "changes", "metadata"),
        *("messages", "statuses", "contacts", "errors", "history", "threads", "calls", "status"),
        *("event", "data", "time", "reaction", "phone_number_id", "wa_id", "user_id"),
    ]
    return st.sampled_from(known) | st.text(st.characters(exclude_categories=["Cs"]), max_size=6)


@st.composite
def odd_bodies(draw: st.DrawFn) -> bytes:
    """Draw a file of the corpus with any JSON at places where it does not belong."""
    document = json.loads(draw(st.sampled_from(list(PAYLOADS.values()))).body)
    for _ in range(draw(st.integers(1, 3))):
        whole = document
        # Downwards as far as chance takes us, and there a value is put in or replaced.
        while True:
            places = list(range(len(whole))) if isinstance(whole, list) else list(whole)
            place = draw(st.sampled_from(places)) if places else None
            if place is None or not isinstance(whole[place], (dict, list)) or draw(st.booleans()):
                break
            whole = whole[place]
        value = draw(json_values())
        if isinstance(whole, list):
            whole.insert(draw(st.integers(0, len(whole))), value)
        else:
            whole[draw(_property_names()) if place is None or draw(st.booleans()) else place] = (
                value
            )
    return of_json(document)


@dataclass(slots=True, kw_only=True)
class Webhook:
    """A body of known shapes, with what must come out of it."""

    document: dict[str, Json] = field(default_factory=dict)
    ids: list[str] = field(default_factory=list)
    """Ids that stand in exactly one place of the body, and belong to one item each."""

    marks: list[str] = field(default_factory=list)
    """Values of properties that no reference knows, at every level of the body."""

    @property
    def body(self) -> bytes:
        """The bytes."""
        return of_json(self.document)

    def new_id(self) -> str:
        """Make up an id, with the characters that real ones have."""
        self.ids.append(f"wamid.{len(self.ids)}/+x=.")
        return self.ids[-1]

    def mark(self, size: int) -> dict[str, Json]:
        """Make up a property that nobody knows."""
        self.marks.append(f"<mark {len(self.marks)}>".ljust(size, "x"))
        return {f"future_{len(self.marks)}": self.marks[-1]}


@st.composite
def webhooks(draw: st.DrawFn) -> Webhook:  # noqa: C901  # one small maker for each level of a body
    """Draw a body of the Cloud API's shapes: several entries, fields, items, people, unknowns."""
    made = Webhook()

    def extra() -> dict[str, Json]:
        size = draw(st.sampled_from([None, None, None, 0, LONG]))
        return {} if size is None else made.mark(size)

    def person() -> str:
        return draw(st.sampled_from(["15550000001", "15550000002", "15550000003"]))

    def message() -> dict[str, Json]:
        body = {"body": "hello"}
        return {"id": made.new_id(), "from": person(), "type": "text", "text": body, **extra()}

    def status() -> dict[str, Json]:
        state = draw(st.sampled_from(["sent", "delivered", "read", "failed"]))
        return {"id": made.new_id(), "status": state, "recipient_id": person(), **extra()}

    def call() -> dict[str, Json]:
        return {"id": made.new_id(), "event": "connect", "from": person(), **extra()}

    def thread() -> dict[str, Json]:
        texts = [message() for _ in range(draw(st.integers(0, 3)))]
        return {"id": person(), "messages": texts, **extra()}

    def chunk() -> dict[str, Json]:
        threads = [thread() for _ in range(draw(st.integers(0, 3)))]
        return {"metadata": {"phase": 0, **extra()}, "threads": threads, **extra()}

    makers = {"messages": message, "statuses": status, "calls": call, "history": chunk}
    lists = {
        "messages": ("messages", "statuses"),
        "calls": ("calls", "statuses"),
        "history": ("history", "messages"),
    }

    def change() -> dict[str, Json]:
        name = draw(st.sampled_from(list(lists)))
        value: dict[str, Json] = {"messaging_product": "whatsapp"}
        value["metadata"] = {"phone_number_id": draw(st.sampled_from(["1082", "1083"])), **extra()}
        people = draw(st.lists(st.sampled_from(["15550000001", "15550000002"]), max_size=3))
        if people:
            value["contacts"] = [{"wa_id": one, "profile": {}, **extra()} for one in people]
        for each in lists[name]:
            if draw(st.booleans()):
                value[each] = [makers[each]() for _ in range(draw(st.integers(0, 4)))]
        if draw(st.booleans()):
            clicks = range(draw(st.integers(1, 3)))
            value["user_actions"] = [{"timestamp": "17", **made.mark(0)} for _ in clicks]
        if draw(st.booleans()):
            value["errors"] = [{"code": 131000, **extra()}]
        return {"field": name, "value": {**value, **extra()}, **extra()}

    def entry() -> dict[str, Json]:
        changes = [change() for _ in range(draw(st.integers(0, 3)))]
        return {"id": "1022", "changes": changes, **extra()}

    entries = [entry() for _ in range(draw(st.integers(1, 3)))]
    made.document = {"object": "whatsapp_business_account", "entry": entries, **extra()}
    return made
