"""JetStream, and the NATS protocol under it: the only room that knows requests, codes and headers.

`api` has the requests and what their answers mean, `errors` what a refusal is, `publisher` and
`pull_inbox` the two ways that are used for every message, `link` and `command_client` connections.
Why some of this is our own code is in docs/development/nats-protocol.md.
"""
