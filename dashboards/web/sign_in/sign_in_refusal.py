"""`SignInRefused`: why a person was not signed in."""

from __future__ import annotations


class SignInRefused(Exception):
    """The text is for the person. `detail` is for the audit log and the administrator:
    it names what was wrong, and nothing secret. `who` is empty if it is not known."""

    def __init__(
        self, text: str, detail: str = "", status: int = 403, who: str = ""
    ) -> None:
        super().__init__(text)
        self.detail, self.status, self.who = detail or text, status, who


START_AGAIN = (
    "This sign-in was not complete, took longer than ten minutes, or was used before."
    " Start again."
)
NOT_GENUINE = (
    "The answer of your council's sign-in could not be confirmed, so you were not "
    "signed in. Start again. If this happens twice, tell the people who run Towpath."
)
NOT_REACHED = (
    "Your council's sign-in does not answer Towpath at the moment. Try again in a few "
    "minutes."
)
