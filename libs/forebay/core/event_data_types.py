"""What the data of an event is made of: people, media, errors, and what stands in a message.

After the providers' references (Cloud API, 360dialog) of 2026. Nothing here decides what is
delivered: `data` is what the provider sent, known or not. Every property may be missing or null,
and what no reference names is left out of the model, never out of the event.
"""

from typing import Any

import msgspec

__all__ = [
    "BusinessNumber",
    "ButtonTap",
    "ChosenOption",
    "ContactCard",
    "DataPart",
    "DeletedMessage",
    "EditedMessage",
    "Emoji",
    "FlowReply",
    "InteractiveReply",
    "MediaFile",
    "MessageContext",
    "OrderText",
    "OrderedProduct",
    "PersonContact",
    "PersonProfile",
    "Place",
    "ProviderError",
    "ProviderErrorDetails",
    "ReferringAd",
    "SystemNotice",
    "TextContent",
    "Timestamp",
    "UnsupportedContent",
]

Timestamp = str | int | float
"""Unix seconds: a string in messages and statuses, a number in some other fields."""


class DataPart(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A part of `data`."""


class BusinessNumber(DataPart, frozen=True):
    """The business' phone number that an item belongs to."""

    display_phone_number: str | None = None
    phone_number_id: str | None = None
    """The channel."""


class PersonProfile(DataPart, frozen=True):
    """How a person calls themselves."""

    name: str | None = None
    username: str | None = None


class PersonContact(DataPart, frozen=True):
    """Who an item is of or for."""

    profile: PersonProfile | None = None
    wa_id: str | None = None
    """Phone number without `+`; missing for a person who has only a user name."""

    user_id: str | None = None
    """The person's id for this business (BSUID)."""


class ProviderErrorDetails(DataPart, frozen=True):
    """More about an error."""

    details: str | None = None


class ProviderError(DataPart, frozen=True):
    """An error as the provider reports it."""

    code: int | None = None
    """The one to decide by: titles change."""

    title: str | None = None
    message: str | None = None
    error_data: ProviderErrorDetails | None = None
    href: str | None = None


class TextContent(DataPart, frozen=True):
    """The text of a message."""

    body: str | None = None


class MediaFile(DataPart, frozen=True):
    """An image, a recording, a video, a document or a sticker."""

    id: str | None = None
    """By which the file is fetched from the provider."""

    mime_type: str | None = None
    sha256: str | None = None
    """Of the file, base64."""

    url: str | None = None
    """Where the file is for some minutes; fetched with the provider's credentials."""

    caption: str | None = None
    filename: str | None = None
    voice: bool | None = None
    """Whether a recording was made in the app."""

    animated: bool | None = None


class Place(DataPart, frozen=True):
    """A location. Only its coordinates are sure."""

    latitude: float | None = None
    longitude: float | None = None
    name: str | None = None
    address: str | None = None
    url: str | None = None


class ContactCard(DataPart, frozen=True):
    """A contact that a person sent: not the sender."""

    name: dict[str, Any] | None = None
    phones: list[dict[str, Any]] | None = None
    emails: list[dict[str, Any]] | None = None
    addresses: list[dict[str, Any]] | None = None
    urls: list[dict[str, Any]] | None = None
    org: dict[str, Any] | None = None
    birthday: str | None = None


class ChosenOption(DataPart, frozen=True):
    """A reply button or a row of a list that was chosen."""

    id: str | None = None
    """As the business gave it."""

    title: str | None = None
    description: str | None = None


class FlowReply(DataPart, frozen=True):
    """A form that was filled in."""

    name: str | None = None
    body: str | None = None
    response_json: str | None = None
    """The answers: JSON within a string."""


class InteractiveReply(DataPart, frozen=True):
    """An answer to an interactive message: one of the three is there, `type` says which."""

    type: str | None = None
    button_reply: ChosenOption | None = None
    list_reply: ChosenOption | None = None
    nfm_reply: FlowReply | None = None


class ButtonTap(DataPart, frozen=True):
    """A quick reply of a template that was chosen."""

    payload: str | None = None
    text: str | None = None


class OrderedProduct(DataPart, frozen=True):
    """A line of an order."""

    product_retailer_id: str | None = None
    quantity: int | float | None = None
    item_price: int | float | None = None
    currency: str | None = None


class OrderText(DataPart, frozen=True):
    """An order from a catalogue."""

    catalog_id: str | None = None
    text: str | None = None
    product_items: list[OrderedProduct] | None = None


class Emoji(DataPart, frozen=True):
    """A reaction to a message."""

    message_id: str | None = None
    """The message that it is a reaction to."""

    emoji: str | None = None
    """Missing where the reaction was taken back."""


class SystemNotice(DataPart, frozen=True):
    """What WhatsApp says about a person, such as a changed number."""

    type: str | None = None
    body: str | None = None
    wa_id: str | None = None
    """The new number."""

    user_id: str | None = None
    previous_user_id: str | None = None


class UnsupportedContent(DataPart, frozen=True):
    """What the Cloud API does not carry."""

    type: str | None = None


class EditedMessage(DataPart, frozen=True):
    """A message that its sender changed."""

    original_message_id: str | None = None
    message: dict[str, Any] | None = None
    """The new content, in the form of a message."""


class DeletedMessage(DataPart, frozen=True):
    """A message that its sender deleted."""

    original_message_id: str | None = None


class MessageContext(DataPart, frozen=True):
    """What a message answers, or that it was forwarded."""

    id: str | None = None
    from_: str | None = msgspec.field(default=None, name="from")
    forwarded: bool | None = None
    frequently_forwarded: bool | None = None
    referred_product: dict[str, Any] | None = None


class ReferringAd(DataPart, frozen=True):
    """The advertisement or post by which a person came."""

    source_url: str | None = None
    source_type: str | None = None
    source_id: str | None = None
    headline: str | None = None
    body: str | None = None
    media_type: str | None = None
    image_url: str | None = None
    video_url: str | None = None
    thumbnail_url: str | None = None
    ctwa_clid: str | None = None
    """The click's id; may be missing."""
