"""The `forebay` command: one small module per verb; what they print is in `printers`.

A verb imports its part only when it runs. So `forebay --help` is quick, and an image that holds one
part's libraries alone still has the command.
"""
