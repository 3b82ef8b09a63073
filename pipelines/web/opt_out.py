"""Whether a response or a page says "not for machine learning", and in which words.

X-Robots-Tag is defined by search engines only; its grammar is read here as they document it: comma-separated
directives, some with a value after a colon, and the name of a robot with a colon before the directives meant for it
alone. noai and noimageai were introduced by DeviantArt, TDM-Reservation by the W3C community group TDMRep.
"""

import re
from collections.abc import Iterable, Mapping, Sequence

_WITH_VALUE = {"unavailable_after", "max-snippet", "max-image-preview", "max-video-preview"}
_ROBOT = re.compile(r"[a-z0-9_*][a-z0-9_.+*-]*(/[a-z0-9_.+-]*)?")
_DATE = re.compile(r"[0-9]{1,4}[-/:.]")
_IMPLIED = {"none": {"noindex", "nofollow"}}


def robots_directives(values: Iterable[str], agent: str) -> set[str]:
    """The directives of X-Robots-Tag headers that hold for us, in lower case and without their values.

    Args:
        values: the header's values, one for each time it was sent.
        agent: our product name. What is meant for "*", for us or for nobody by name holds; what names another robot
            does not, up to the next name or the end of that value.
    """
    found: set[str] = set()
    for value in values:
        ours = True
        for part in value.lower().split(","):
            ours = _read_part(part.strip(), agent.lower(), ours, found)
    return found


def _read_part(part: str, agent: str, ours: bool, found: set[str]) -> bool:
    """Add the part's directives to `found` if they hold for us; returns whom the next part is meant for."""
    name, colon, rest = part.partition(":")
    name = name.strip()
    if colon and name in _WITH_VALUE:
        words = [name]
    elif colon and _ROBOT.fullmatch(name) and not _DATE.match(name):
        return _read_part(rest.strip(), agent, name.partition("/")[0] in ("*", agent), found)
    else:
        # also the second half of a date ("unavailable_after: Friday, 25-Jun-10 15:00:00 PST"): harmless words
        words = re.split(r"[\s;:]+", part)
    if ours:
        for word in words:
            found |= {word} | _IMPLIED.get(word, set())
    found.discard("")
    return ours


def opt_out_token(directives: Iterable[str], tokens: Sequence[str]) -> str | None:
    """The first of `tokens` that is among the directives, or None."""
    present = set(directives)
    return next((token for token in tokens if token in present), None)


def tdm_reserved(headers: Mapping[str, Sequence[str]]) -> bool:
    """Whether `TDM-Reservation: 1` was sent (TDMRep section 5.1). Header names in lower case."""
    return any(value.strip() == "1" for value in headers.get("tdm-reservation", ()))


def page_opt_out(
    headers: Mapping[str, Sequence[str]],
    meta_tokens: Iterable[str],
    tokens: Sequence[str],
    tdm: bool,
    agent: str = "OpenM3W",
) -> str | None:
    """What in a page's headers or meta elements says "not for us": a token of `tokens` or "tdm-reservation", or None.

    Args:
        headers: of the response, names in lower case.
        meta_tokens: words of `<meta name="robots">` (or of a meta named like us), and "tdm-reservation" where
            `<meta name="tdm-reservation" content="1">` stands.
        tokens: directives that mean "not for us", in lower case.
        tdm: whether a TDM reservation does.
        agent: our product name.
    """
    meta = {word.strip().lower() for word in meta_tokens}
    for word in meta & _IMPLIED.keys():
        meta |= _IMPLIED[word]
    if token := opt_out_token(robots_directives(headers.get("x-robots-tag", ()), agent) | meta, tokens):
        return token
    if tdm and (tdm_reserved(headers) or "tdm-reservation" in meta):
        return "tdm-reservation"
    return None
