"""What the commands of this folder raise."""


class CommandError(Exception):
    """A command cannot be done here; the message is a sentence that says what is missing."""
