"""Views of what people ask first: answers, failures, labels, templates, payments, open windows."""

from typing import Final

from alembic import op

__all__ = ["down_revision", "revision", "upgrade"]

revision: Final = "0002"
down_revision: Final = "0001"

_STATEMENTS: Final = (
    # The first message that a person writes after one of ours, or after nothing, and how long it
    # was until ours. The provider's times are of whole seconds, so ids decide between equal ones.
    """
    create view response_times as
    select asked.endpoint, asked.channel, asked.conversation, asked.message_id,
        asked.sent_at as asked_at, answer.sent_at as answered_at,
        answer.sent_at - asked.sent_at as took
    from messages asked
    left join lateral (
        select direction from messages before
        where before.endpoint = asked.endpoint and before.conversation = asked.conversation
            and (before.sent_at, before.message_id) < (asked.sent_at, asked.message_id)
        order by before.sent_at desc, before.message_id desc limit 1
    ) before on true
    left join lateral (
        select sent_at from messages reply
        where reply.endpoint = asked.endpoint and reply.conversation = asked.conversation
            and reply.direction = 'out' and reply.sent_at >= asked.sent_at
        order by reply.sent_at limit 1
    ) answer on true
    where asked.direction = 'in' and asked.sent_at is not null
        and before.direction is distinct from 'in'
    """,
    """
    create view failures_by_code as
    select (failed_at at time zone 'UTC')::date as day, endpoint, channel, error_code,
        max(errors -> 0 ->> 'title') as title, count(*) as messages
    from messages
    where failed_at is not null
    group by 1, 2, 3, 4
    """,
    """
    create view deliveries_by_label as
    select (sent_at at time zone 'UTC')::date as day, endpoint, channel, label,
        pricing ->> 'category' as category,
        count(*) as messages,
        count(*) filter (where status_rank >= 3) as delivered,
        count(*) filter (where status_rank >= 4) as read,
        count(*) filter (where status = 'failed') as failed,
        percentile_cont(0.5) within group (order by delivered_at - sent_at) as half_delivered_after
    from messages
    where direction = 'out' and status_rank > 0
    group by 1, 2, 3, 4, 5
    """,
    # What the provider said last of each template, by the field in which it says so.
    """
    create view templates as
    select distinct on (endpoint, subject, data ->> 'field')
        endpoint, subject as template_id, data ->> 'field' as field,
        data #>> '{value,message_template_name}' as name,
        data #>> '{value,message_template_language}' as language,
        coalesce(
            data #>> '{value,event}', data #>> '{value,new_quality_score}',
            data #>> '{value,new_category}'
        ) as now,
        data #>> '{value,reason}' as reason,
        occurred_at
    from events
    where kind = 'account' and data #> '{value,message_template_id}' is not null
    order by endpoint, subject, data ->> 'field', occurred_at desc
    """,
    """
    create view payments as
    select endpoint, channel, subject as message_id,
        data #>> '{value,statuses,0,status}' as status,
        data #>> '{value,statuses,0,payment,reference_id}' as reference_id,
        data #>> '{value,statuses,0,payment,transaction,id}' as transaction_id,
        data #>> '{value,statuses,0,payment,transaction,status}' as transaction_status,
        data #> '{value,statuses,0,payment}' as payment,
        occurred_at, received_at, id
    from events
    where kind = 'statuses' and data #>> '{value,statuses,0,type}' = 'payment'
    """,
    # A business may write freely for 24 hours after a person's last message.
    """
    create view open_windows as
    select endpoint, channel, conversation, person, last_in_at,
        last_in_at + interval '24 hours' as open_until,
        last_out_at is null or last_out_at < last_in_at as is_unanswered
    from conversations
    where last_in_at > now() - interval '24 hours'
    """,
)


def upgrade() -> None:
    """Make them, in the schema that is first on the search path."""
    connection = op.get_bind()
    for statement in _STATEMENTS:
        connection.exec_driver_sql(statement)
