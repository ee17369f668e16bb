"""What the verbs of the `forebay` command print: tables and lines for people, JSON for programs.

Only the verbs use it, and only when they run: rich takes a while to be imported.
"""
