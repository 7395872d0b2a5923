"""What is wrong with a store now, in words, and when to try again: with each failure in a row a little later."""

from pipeline_inspector import clock, faults

_FIRST_PAUSE = 0.1
_LONGEST_PAUSE = 1.0
_NOTICE_FOR = 600.0
_SECOND = 1_000_000_000


class Trouble:
    """The state of health of one store in one process."""

    def __init__(self) -> None:
        self.message: str | None = None
        self._pause = 0.0
        self._again_at = 0
        self._notices: dict[str, int] = {}

    def __bool__(self) -> bool:
        return self.message is not None

    @property
    def resting(self) -> bool:
        """Is it too early to try again?"""
        return self.message is not None and clock.now() < self._again_at

    @property
    def pause(self) -> float:
        """Seconds until the next attempt, 0.0 when it may be made now."""
        return max(0.0, (self._again_at - clock.now()) / _SECOND) if self else 0.0

    def met(self, message: str) -> None:
        """An attempt failed because of ``message``."""
        if message != self.message:
            faults.note("store", message)
        self.message = message
        self._pause = min(self._pause * 2 or _FIRST_PAUSE, _LONGEST_PAUSE)
        self._again_at = clock.now() + int(self._pause * _SECOND)

    def over(self) -> None:
        """An attempt went well."""
        if self.message is not None:
            faults.over("store", self.message)
        self.message, self._pause, self._again_at = None, 0.0, 0

    def told(self, waiting: int, lost: int) -> str:
        """What is wrong, and how many records wait in memory meanwhile and are lost."""
        wait = "1 record waits" if waiting == 1 else f"{waiting} records wait"
        older = "1 older one is" if lost == 1 else f"{lost} older ones are"
        return f"{self.message} {wait} in memory, {older} lost."

    def notice(self, message: str) -> None:
        """Something was mended in a way that people should hear of; told for ten minutes."""
        faults.note("store", message)
        self._notices[message] = clock.now() + int(_NOTICE_FOR * _SECOND)

    def notices(self) -> list[str]:
        """What was mended lately."""
        return [message for message, until in list(self._notices.items()) if clock.now() < until]
