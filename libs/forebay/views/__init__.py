"""What people and programs are shown of what is stored: facts for JSON, and what a question means.

For the `forebay` command and the HTTP API, which show the same. Nothing here reads a stream.
"""
