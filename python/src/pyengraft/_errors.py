"""What the library says of a failure, as an exception."""
from __future__ import annotations


class EngraftError(Exception):
    """A failure that the library reports.

    Attributes
    ----------
    status : str
        What kind of failure, as "E_NOT_FOUND".
    reason : str
        Why, as "WEIGHTS_MISSING"; "OTHER" where status and message say all. Each reason has a
        subclass of its own: ``pyengraft.errors.WeightsMissing``.
    subject : str
        The file, layer or class that the message is about; may be empty.
    """

    def __init__(self, message: str, status: str = "E_ARGUMENT", reason: str = "OTHER", subject: str = "") -> None:
        super().__init__(message)
        self.status = status
        self.reason = reason
        self.subject = subject

    def __reduce__(self) -> tuple[type[EngraftError], tuple[str, str, str, str]]:
        return type(self), (str(self), self.status, self.reason, self.subject)
