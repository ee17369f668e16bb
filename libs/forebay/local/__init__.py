"""All of Forebay on one machine: what `forebay run` starts, watches, shows and stops.

    supervisor      brings the parts up in order, keeps them up, stops them in order
    options         what a person can choose
    manifests       reads WebhookEndpoint and Secret manifests from files
    manifest_set    manifests -> tables, again whenever a file changes
    folder          the data folder: its places, its lock, its logs
    nats_server     the embedded nats-server
    find_running_nats
                    finds the nats-server of another run
    child           one process, started again when it dies
    exec_wrapper    what runs in front of each process
    metrics_reader  what the parts' metrics and the processor's log say
    curl_lines      a curl line for each endpoint
    reporters       what a person, a log or a program gets to see; `live_reporter` is for a terminal

Only the `forebay` command uses it.
"""
