"""A PostgreSQL's URL: what it says, and what is refused without a word of it."""

from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forebay.core.compile import compile_endpoint
from forebay.core.errors import ConfigurationError
from forebay.core.postgres_address import PostgresAddress, read_postgres_address
from forebay.core.resource import parse_endpoint
from forebay.core.tables import HttpTls, PostgresTarget
from forebay.core.validation_errors import InvalidEndpoint


@pytest.mark.parametrize(
    ("text", "address"),
    [
        (
            "postgresql://u:p@db.example.com:6543/shop",
            PostgresAddress(
                hosts=(("db.example.com", 6543),), user="u", password="p", database="shop"
            ),
        ),
        (
            "postgres://u@db/",
            PostgresAddress(hosts=(("db", 5432),), user="u", database="u"),
        ),
        (
            "postgresql://a%40b:p%2Fw%3A@[fd00::1]:1/d%20b?sslmode=require",
            PostgresAddress(hosts=(("fd00::1", 1),), user="a@b", password="p/w:", database="d b"),
        ),
        (
            "postgresql://u:p@One,two:5433/d?sslmode=disable&application_name=x",
            PostgresAddress(
                hosts=(("one", 5432), ("two", 5433)),
                user="u",
                password="p",
                database="d",
                is_plain=True,
            ),
        ),
        (
            "postgresql://u:p@h/d?sslmode=verify-full&channel_binding=require",
            PostgresAddress(hosts=(("h", 5432),), user="u", password="p", database="d"),
        ),
    ],
)
def test_a_url_says_where_and_who(text: str, address: PostgresAddress) -> None:
    assert read_postgres_address(text) == address


@given(st.text(min_size=1), st.text(), st.text(min_size=1))
def test_what_is_percent_encoded_comes_as_it_was(user: str, password: str, database: str) -> None:
    def encoded(part: str) -> str:
        return quote(part, safe="", errors="surrogatepass")

    text = f"postgresql://{encoded(user)}:{encoded(password)}@db/{encoded(database)}"
    try:
        read = read_postgres_address(text)
    except ConfigurationError:
        odd = any(ord(each) < 0x20 or ord(each) == 0x7F for each in user + password + database)
        assert odd or len(text) > 4096
        return
    assert (read.user, read.password, read.database) == (user, password, database)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("SECRET", "no URL of a PostgreSQL"),
        ("mysql://SECRET:SECRET@db/SECRET", "no URL of a PostgreSQL"),
        ("postgresql://db/SECRET", "names no user"),
        ("postgresql://u:SECRET@/d", "no host"),
        ("postgresql://u:SECRET@%2Fvar%2Frun/d", "no host"),
        ("postgresql://u:SEC/RET@db/d", "no user"),
        ("postgresql://u:SEC@RET@db:x/d", "no host"),
        ("postgresql://u:SECRET@db:0/d", "1 to 65535"),
        ("postgresql://u:SECRET@db:65536/d", "1 to 65535"),
        ("postgresql://u:SEC%00RET@db/d", "control character"),
        ("postgresql://u:SEC#RET@db/d", "%23"),
        ("postgresql://u:SECRET@db/d?sslmode=SECRET", "sslmode that is not taken"),
        ("postgresql://u:SECRET@db/d?passfile=/SECRET", "only sslmode is"),
        ("postgresql://u:SECRET@db/d?host=SECRET", "only sslmode is"),
        ("postgresql://u:SECRET@db/d?target_session_attrs=standby", "target_session_attrs"),
        ("postgresql://u:SECRET@" + ",".join(["db"] * 9) + "/d", "more than 8 hosts"),
        ("postgresql://u:" + "SECRET" * 1000 + "@db/d", "no URL of a PostgreSQL"),
    ],
)
def test_what_cannot_be_used_is_refused_without_a_word_of_it(text: str, words: str) -> None:
    with pytest.raises(ConfigurationError, match=words) as caught:
        read_postgres_address(text)
    assert "SEC" not in str(caught.value)
    assert "RET" not in str(caught.value)


def compiled(secret: str, **settings: object) -> PostgresTarget:
    manifest = parse_endpoint(
        {
            "apiVersion": "forebay.dev/v1alpha1",
            "kind": "WebhookEndpoint",
            "metadata": {"namespace": "acme", "name": "shop"},
            "spec": {
                "provider": "meta",
                "authentication": {"none": True},
                "destinations": [
                    {
                        "name": "db",
                        "postgres": {
                            "dsn": {"secretKeyRef": {"name": "db", "key": "dsn"}},
                            **settings,
                        },
                    }
                ],
            },
        }
    )
    (made,) = compile_endpoint(manifest, lambda *_: secret).destinations
    assert made.postgres is not None
    return made.postgres


def test_tls_is_verified_unless_the_url_says_otherwise() -> None:
    assert compiled("postgresql://u@db/d").tls == HttpTls()
    assert compiled("postgresql://u@db/d?sslmode=prefer").tls == HttpTls()
    assert compiled("postgresql://u@db/d?sslmode=disable").tls is None
    named = compiled("postgresql://u@db/d", tls={"serverName": "db.example.com"})
    assert named.tls == HttpTls(server_name="db.example.com")


def test_tls_that_is_both_off_and_described_is_refused() -> None:
    with pytest.raises(InvalidEndpoint, match="sslmode=disable"):
        compiled("postgresql://u@db/d?sslmode=disable", tls={"serverName": "db.example.com"})


def test_a_url_that_cannot_be_used_is_reported_where_it_is_named() -> None:
    with pytest.raises(InvalidEndpoint) as caught:
        compiled("postgresql://u:SECRET@/d\n")
    (problem,) = caught.value.problems
    assert problem.field == "spec.destinations[0].postgres.dsn"
    assert problem.reason.startswith("key 'dsn' of Secret 'db' has no host")
    assert "SECRET" not in problem.reason


@pytest.mark.parametrize("name", ["pg_toast", "Shop", "1st", "a-b", 'a"b', "", "a" * 64])
def test_a_schemas_name_that_needs_quotes_is_refused(name: str) -> None:
    with pytest.raises(InvalidEndpoint, match="a schema's name"):
        compiled("postgresql://u@db/d", schemaName=name)
