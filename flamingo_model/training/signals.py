"""Being asked to stop: the step is finished, all is saved, and then the process ends."""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Asked:
    """Which signal has come; 0 if none."""

    signal: int = 0


@contextmanager
def listening(say: Callable[[str], None]) -> Iterator[Asked]:
    """Notes the first SIGINT (Ctrl-C) or SIGTERM; a second one acts as it usually does.

    Args:
        say: told when one has come.
    """
    asked = Asked()
    before = {number: signal.getsignal(number) for number in SIGNALS}

    def note(number: int, _: FrameType | None) -> None:
        asked.signal = number
        for each in SIGNALS:
            signal.signal(each, before[each])
        say(f"{signal.Signals(number).name}: stopping after this step, with a checkpoint; once more to stop at once")

    for number in SIGNALS:
        signal.signal(number, note)
    try:
        yield asked
    finally:
        for number in SIGNALS:
            signal.signal(number, before[number])
