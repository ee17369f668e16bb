"""The `forebay` command: one small module per verb, and in `main` what they share.

A verb imports its part only when it runs. So `forebay --help` is quick, and an image that holds one
part's libraries alone still has the command.
"""
