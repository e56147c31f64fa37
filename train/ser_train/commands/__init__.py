"""The commands of `ser-train`, one module each.

A module has `add_parser(commands)`, which needs no extra, and `run(arguments)`, which imports
what it needs.
"""
