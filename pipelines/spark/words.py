"""What went wrong in a Spark job, out of the pages that Java prints."""

import re

from pipelines.engine import last_words

UNRESPONSIVE = "All masters are unresponsive"
TRACEBACK = "Traceback (most recent call last):"
_END = re.compile(r"^(\s+at |\s*\.\.\. \d+ more|Caused by: |\d\d/\d\d/\d\d |\tSuppressed: )", re.MULTILINE)
_NOT_STARTED = re.compile(r"Process died with exit code (\d+)")
_LOST = re.compile(r"StatusRuntimeException: (CANCELLED|UNAVAILABLE)|ExecutorLostFailure|exited caused by one of")
_FAILED = re.compile(r"most recent failure: (.*)")


def words_of(text: str) -> str:
    """The words of the Python error in `text`, or else of the Java one."""
    if UNRESPONSIVE in text:
        return (
            "the master does not take our job: mostly its Spark is of another version than the job server's "
            "(docs/engines.md), or this machine cannot be reached from there"
        )
    if TRACEBACK in text:
        trace = text[text.rindex(TRACEBACK) :]
        end = _END.search(trace)
        return last_words(trace[: end.start()] if end else trace).strip()
    if code := _NOT_STARTED.search(text):
        return f"a Python worker could not start, exit code {code[1]}: its executor's stderr says why"
    if _LOST.search(text):
        return (
            "a Python worker or its executor ended before its work did (killed, or out of memory?); "
            "the same command goes on where it stood, with more memory for executors if it was short"
        )
    causes = [line for line in text.splitlines() if line.startswith("Caused by: ")]
    failed = _FAILED.findall(text)
    return (failed or causes or [text.strip()[:2000]])[-1].removeprefix("Caused by: ")
