"""The data of events, a model for each kind: the provider's change, cut down to one item.

`DATA_MODELS` has the model of each kind. A list in `value` that holds items holds exactly one.
What is said of `event_data_types` holds here too: everything may be missing.
"""

from typing import Any, Final

import msgspec

from forebay.core.event_data_types import (
    BusinessNumber,
    ButtonTap,
    ContactCard,
    DataPart,
    DeletedMessage,
    EditedMessage,
    Emoji,
    InteractiveReply,
    MediaFile,
    MessageContext,
    OrderText,
    PersonContact,
    Place,
    ProviderError,
    ReferringAd,
    SystemNotice,
    TextContent,
    Timestamp,
    UnsupportedContent,
)

__all__ = ["DATA_MODELS", "EventData"]


class EventData(DataPart, frozen=True):
    """The provider's change: which account and field it is of."""

    id: str | None = None
    """The WhatsApp Business Account."""

    time: Timestamp | None = None
    """Of the entry: for fields of an account only."""

    field: str | None = None
    """Which webhook field it came in."""


class ChannelValue(DataPart, frozen=True):
    """What stands around an item of a number."""

    messaging_product: str | None = None
    metadata: BusinessNumber | None = None
    contacts: list[PersonContact] | None = None
    """Those whom the item names; missing where the provider names nobody."""


class MessageContent(DataPart, frozen=True):
    """A message. What it holds stands in the property that is named by its `type`."""

    id: str | None = None
    """`wamid.…`. Opaque: holds `/`, `+` and `=`."""

    from_: str | None = msgspec.field(default=None, name="from")
    """Phone number; missing or empty for a person who has only a user name."""

    from_user_id: str | None = None
    group_id: str | None = None
    timestamp: Timestamp | None = None
    type: str | None = None
    text: TextContent | None = None
    image: MediaFile | None = None
    audio: MediaFile | None = None
    video: MediaFile | None = None
    document: MediaFile | None = None
    sticker: MediaFile | None = None
    location: Place | None = None
    contacts: list[ContactCard] | None = None
    interactive: InteractiveReply | None = None
    button: ButtonTap | None = None
    order: OrderText | None = None
    reaction: Emoji | None = None
    system: SystemNotice | None = None
    edit: EditedMessage | None = None
    revoke: DeletedMessage | None = None
    unsupported: UnsupportedContent | None = None
    errors: list[ProviderError] | None = None
    """Why a message of type `unsupported` cannot be shown."""

    context: MessageContext | None = None
    referral: ReferringAd | None = None


class MessageValue(ChannelValue, frozen=True):
    """A message that a person wrote to the business."""

    messages: list[MessageContent] | None = None


class MessageData(EventData, frozen=True):
    """Kind `messages`: what people write."""

    value: MessageValue | None = None


class EchoContent(MessageContent, frozen=True):
    """A message that the business sent by another way than the API."""

    to: str | None = None
    to_user_id: str | None = None


class EchoValue(ChannelValue, frozen=True):
    """A message that went out."""

    message_echoes: list[EchoContent] | None = None


class EchoData(EventData, frozen=True):
    """Kind `echoes`: outbound; never treat it as what a person wrote."""

    value: EchoValue | None = None


class StatusPricing(DataPart, frozen=True):
    """What a message costs; comes once, with one of its statuses."""

    billable: bool | None = None
    pricing_model: str | None = None
    category: str | None = None
    type: str | None = None


class StatusContent(DataPart, frozen=True):
    """A status of one message that the business sent."""

    id: str | None = None
    """The message's id."""

    status: str | None = None
    """`sent`, `delivered`, `read`, `played` or `failed`; of a payment its own words."""

    type: str | None = None
    """`payment` where it is not the message's own course."""

    timestamp: Timestamp | None = None
    recipient_id: str | None = None
    recipient_user_id: str | None = None
    recipient_type: str | None = None
    """`group` for a message to a group: then a receipt comes for each member."""

    recipient_participant_id: str | None = None
    recipient_participant_user_id: str | None = None
    participant_recipient_id: str | None = None
    """A second spelling of the provider's for `recipient_participant_id`."""

    conversation: dict[str, Any] | None = None
    pricing: StatusPricing | None = None
    errors: list[ProviderError] | None = None
    """Of a failed one; comes only there."""

    payment: dict[str, Any] | None = None
    biz_opaque_callback_data: str | None = None
    """What the business gave along when it sent the message."""


class StatusValue(ChannelValue, frozen=True):
    """A status of a message."""

    statuses: list[StatusContent] | None = None


class StatusData(EventData, frozen=True):
    """Kind `statuses`: what became of a message that was sent."""

    value: StatusValue | None = None


class CallContent(DataPart, frozen=True):
    """A call that begins or ends."""

    id: str | None = None
    event: str | None = None
    """`connect` or `terminate`; the second can come first."""

    from_: str | None = msgspec.field(default=None, name="from")
    from_user_id: str | None = None
    to: str | None = None
    direction: str | None = None
    timestamp: Timestamp | None = None
    session: dict[str, Any] | None = None
    """The offer, to be answered within some 30 to 60 s."""

    status: str | None = None
    start_time: Timestamp | None = None
    end_time: Timestamp | None = None
    duration: int | float | None = None
    """Seconds."""


class CallValue(ChannelValue, frozen=True):
    """A call."""

    calls: list[CallContent] | None = None


class CallData(EventData, frozen=True):
    """Kind `calls`: a call is offered, or has ended."""

    value: CallValue | None = None


class CallStatusContent(DataPart, frozen=True):
    """How far an outgoing call is."""

    id: str | None = None
    """The call's id."""

    type: str | None = None
    status: str | None = None
    timestamp: Timestamp | None = None
    recipient_id: str | None = None


class CallStatusValue(ChannelValue, frozen=True):
    """A status of a call."""

    statuses: list[CallStatusContent] | None = None


class CallStatusData(EventData, frozen=True):
    """Kind `call-statuses`: an outgoing call rings, is taken or refused."""

    value: CallStatusValue | None = None


class PreferenceContent(DataPart, frozen=True):
    """What a person decided about marketing."""

    wa_id: str | None = None
    user_id: str | None = None
    category: str | None = None
    value: str | None = None
    """`stop` or `resume`."""

    detail: str | None = None
    timestamp: Timestamp | None = None


class PreferenceValue(ChannelValue, frozen=True):
    """A preference."""

    user_preferences: list[PreferenceContent] | None = None


class PreferenceData(EventData, frozen=True):
    """Kind `preferences`: a person stopped or resumed marketing messages."""

    value: PreferenceValue | None = None


class ErrorValue(ChannelValue, frozen=True):
    """Errors of a number."""

    errors: list[ProviderError] | None = None
    """All that came together."""


class ErrorData(EventData, frozen=True):
    """Kind `errors`: errors of the number, without a message."""

    value: ErrorValue | None = None


class SyncedContact(DataPart, frozen=True):
    """An entry of the business' address book that was changed."""

    type: str | None = None
    action: str | None = None
    """`add` or `remove`."""

    contact: dict[str, Any] | None = None
    metadata: dict[str, Any] | None = None


class SyncValue(ChannelValue, frozen=True):
    """A change in an address book."""

    state_sync: list[SyncedContact] | None = None


class ContactSyncData(EventData, frozen=True):
    """Kind `contacts`: the address book of the Business app is synchronised."""

    value: SyncValue | None = None


class HistoryMessage(EchoContent, frozen=True):
    """A message of the past, of either side."""

    history_context: dict[str, Any] | None = None


class HistoryThread(DataPart, frozen=True):
    """A chat with one person."""

    id: str | None = None
    context: dict[str, Any] | None = None
    messages: list[HistoryMessage] | None = None


class HistoryChunk(DataPart, frozen=True):
    """A piece of a history."""

    metadata: dict[str, Any] | None = None
    """Phase, order and progress of the transfer."""

    threads: list[HistoryThread] | None = None
    errors: list[ProviderError] | None = None
    """Where the business declined to share its history."""


class HistoryValue(ChannelValue, frozen=True):
    """A history's message, or its progress."""

    history: list[HistoryChunk] | None = None


class HistoryData(EventData, frozen=True):
    """Kind `history`: one message of the past; `declined` or `progress` of a transfer."""

    value: HistoryValue | None = None


class HistoryMediaValue(ChannelValue, frozen=True):
    """A history's message with its file."""

    messages: list[HistoryMessage] | None = None


class HistoryMediaData(EventData, frozen=True):
    """Kind `history-media`: the file of a message of the past, under the message's id."""

    value: HistoryMediaValue | None = None


class AccountValue(DataPart, frozen=True):
    """What happened to an account: which properties there are follows from `field`."""

    event: str | None = None
    decision: str | None = None
    reason: str | None = None
    display_phone_number: str | None = None
    phone_number: str | None = None
    message_template_id: str | int | None = None
    message_template_name: str | None = None
    message_template_language: str | None = None
    message_template_category: str | None = None
    previous_category: str | None = None
    new_category: str | None = None
    previous_quality_score: str | None = None
    new_quality_score: str | None = None
    flow_id: str | int | None = None
    alert_info: dict[str, Any] | None = None


class AccountData(EventData, frozen=True):
    """Kind `account`: templates, quality, reviews and alerts of the whole account."""

    value: AccountValue | None = None


class PartnerData(DataPart, frozen=True):
    """Kind `partner`: an event of 360dialog's for its partners, in an envelope of its own."""

    id: str | None = None
    """The event's."""

    event: str | None = None
    data: Any = None


DATA_MODELS: Final[dict[str, type[DataPart] | None]] = {
    "messages": MessageData,
    "calls": CallData,
    "call-statuses": CallStatusData,
    "echoes": EchoData,
    "preferences": PreferenceData,
    "generic": None,
    "statuses": StatusData,
    "errors": ErrorData,
    "contacts": ContactSyncData,
    "history": HistoryData,
    "history-media": HistoryMediaData,
    "account": AccountData,
    "partner": PartnerData,
    "unknown": None,
}
"""The model of the data of each kind; None where it can be any JSON."""
