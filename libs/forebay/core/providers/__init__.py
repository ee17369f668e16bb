"""The providers: what differs between those who send webhooks, one module each.

    registry     which providers there are, by name: what everybody else imports
    names        their names, as types: for the tables, the manifests and the command line
    provider     what has to be known of a provider
    meta, dialog360, generic
                 the providers; only the registry imports them
    cloud_api_format, any_json_format
                 what bodies are like: how urgent they are, which items are in them
    meta_checks  the signature and the challenge of Meta's webhooks, which others use as well

docs/development/adding.md says how another one is added.
"""
