"""The one error class of vadamon."""


class VadamonError(Exception):
    """Something went wrong that a person can mend.

    The message is one line: it names the thing and the way out. The command line prints it on standard error and
    exits with status 1.
    """


class VadamonWarning(UserWarning):
    """Something is amiss, and the work goes on with what is whole: one line, as for an error."""
