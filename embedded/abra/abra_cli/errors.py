"""The one kind of error that a user sees."""


class FatalError(Exception):
    """Ends the command with `FATA <text>` on stderr and return code 1."""
