"""The command line: parsing of arguments, and printing of what the other floors return.

Promises: exit 0 when all is well, 1 when a check failed, 2 for wrong use or bad input (one line on
standard error, no traceback), 130 after Ctrl-C; `--json` prints one JSON object on standard
output and nothing else there. Work does not belong here.
"""

from rot180.cli.main import main

__all__ = ["main"]
