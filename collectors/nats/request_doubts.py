"""`RequestDoubts`: whether a server that answers looks answers requests, too. Pure."""

from __future__ import annotations

_MISLED = 2
_MOST_DOUBLED = 5
# Longer than servers need to agree on another leader.
_UNCONFIRMED_S = 30.0


class RequestDoubts:
    def __init__(self) -> None:
        # Since the last look.
        self.is_doubted = False
        # Looks in a row with an answer while requests have none, and how often that
        # was a reason to leave.
        self._misled = self._moves = 0
        self._misleading: set[str] = set()
        # Since when no request was answered, and when the last one was not.
        self._unconfirmed_s: float | None = None
        self._doubted_s = 0.0

    def doubt(self, now_s: float) -> None:
        """A request was not answered."""
        self.is_doubted = True
        self._doubted_s = now_s
        if self._unconfirmed_s is None:
            self._unconfirmed_s = now_s

    def confirm(self) -> None:
        """A request was answered."""
        self.is_doubted, self._misled, self._moves = False, 0, 0
        self._misleading.clear()
        self._unconfirmed_s = None

    def forget_looks(self) -> None:
        """Another server will be looked at."""
        self._misled = 0

    def begin_look(self) -> bool:
        """Returns whether there is a doubt since the last one."""
        is_doubted, self.is_doubted = self.is_doubted, False
        return is_doubted

    def is_misleading(self, is_doubted: bool, server: str, servers: int) -> bool:
        """After a look with an answer: whether to leave for another one of `servers`.

        One that led the others until it was cut off says that all is well, for ten
        seconds or longer, and answers nothing else. Meanwhile the others say that they
        have no quorum, so that it may be tried again.
        """
        if not is_doubted:
            self._misled = 0
            return False
        self._misled += 1
        most = 1 if server in self._misleading else _MISLED
        # If no server answers more, it is not theirs: seldom.
        if self._misled < most << min(self._moves // servers, _MOST_DOUBLED):
            return False
        self._misleading.add(server)
        self._moves += 1
        return True

    def confirms_nothing(self, now_s: float) -> bool:
        """Whether no request has been answered for long. A server with a full disk
        answers looks."""
        if self._unconfirmed_s is None or now_s - self._doubted_s > _UNCONFIRMED_S:
            # It works, or there was no request lately.
            self._unconfirmed_s = None
            return False
        return now_s - self._unconfirmed_s >= _UNCONFIRMED_S
