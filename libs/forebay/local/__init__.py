"""All of Forebay on one machine: what `forebay run` starts, watches, shows and stops.

    world        brings the parts up in order, keeps them up, stops them in order
    manifests    reads WebhookEndpoint and Secret manifests from files
    catalog      manifests -> tables, again whenever a file changes
    folder       the data folder: its places, its lock, its logs
    nats_server  the embedded nats-server
    child        one process, started again when it dies; `launch` is what runs in front of it
    figures      what the parts' metrics say
    samples      a curl line for each endpoint
    screens      what a person, a log or a program gets to see

Only the `forebay` command uses it.
"""
