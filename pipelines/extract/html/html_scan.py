"""Where the parts of HTML source begin and end, byte by byte as the HTML standard's tokenizer has it (13.2.5).

Compiled, these are loops over memory; as plain Python the same answers come from regular expressions.
"""

import re

import cython

from pipelines.extract.html.tags import NUMBERS

if cython.compiled:
    from cython.cimports.libc.string import memchr

_SPACE = rb"\t\n\f\r "
_VALUE = rb"""(?:"[^"]*+(?:"|\Z)|'[^']*+(?:'|\Z)|[^\t\n\f\r >"'][^\t\n\f\r >]*+|(?=>)|\Z)"""
_ATTRIBUTE = rb"[%b/]*+[^%b/>][^%b/>=]*+(?:[%b]*+=[%b]*+%b)?+" % (_SPACE, _SPACE, _SPACE, _SPACE, _SPACE, _VALUE)
_ONE_ATTRIBUTE = re.compile(_ATTRIBUTE)
_ATTRIBUTES = re.compile(rb"(?:%b){0,100}+([%b/]*+)" % (_ATTRIBUTE, _SPACE))
_MARKUP = re.compile(rb"<(?:[a-zA-Z!?]|/.)", re.DOTALL)
_NAME_END = re.compile(rb"[%b/>]" % _SPACE)
_COMMENT_END = re.compile(rb"--!?>")
_SCRIPT_EVENT = re.compile(rb"<!--|-->|<(/?)script(?=[%b/>])" % _SPACE, re.IGNORECASE)
_NOT_BLANK = re.compile(rb"[^%b]" % _SPACE)
_RAW_ENDS: dict[bytes, re.Pattern[bytes]] = {}


@cython.cfunc
@cython.exceptval(check=False)
def find_byte(
    data: cython.p_const_uchar, byte: cython.int, pos: cython.Py_ssize_t, size: cython.Py_ssize_t
) -> cython.Py_ssize_t:
    """Where a byte next stands, from `pos` on; `size` if nowhere."""
    if not cython.compiled:
        at = data.find(byte, pos, size)
        return size if at < 0 else at
    if pos >= size:
        return size
    found: cython.p_const_uchar = cython.cast(cython.p_const_uchar, memchr(data + pos, byte, size - pos))
    return size if found == cython.NULL else found - data


@cython.cfunc
@cython.exceptval(check=False)
def find_markup(data: cython.p_const_uchar, pos: cython.Py_ssize_t, size: cython.Py_ssize_t) -> cython.Py_ssize_t:
    """Where the next tag, comment or declaration begins; `size` if none does. Any other "<" is text."""
    if not cython.compiled:
        found = _MARKUP.search(data, pos, size)
        return found.start() if found else size
    while True:
        pos = find_byte(data, 60, pos, size)
        if pos + 1 >= size:
            return size
        byte: cython.uchar = data[pos + 1]
        if (97 <= (byte | 32) <= 122) or byte == 33 or byte == 63 or (byte == 47 and pos + 2 < size):
            return pos
        pos += 1


@cython.cfunc
@cython.inline
@cython.exceptval(check=False)
def _is_space(byte: cython.uchar) -> cython.bint:
    return byte == 32 or (9 <= byte <= 13 and byte != 11)


@cython.cfunc
@cython.exceptval(check=False)
def name_end(data: cython.p_const_uchar, pos: cython.Py_ssize_t, size: cython.Py_ssize_t) -> cython.Py_ssize_t:
    """Where the name of a tag ends that begins at `pos`."""
    if not cython.compiled:
        found = _NAME_END.search(data, pos, size)
        return found.start() if found else size
    while pos < size and not (_is_space(data[pos]) or data[pos] == 47 or data[pos] == 62):
        pos += 1
    return pos


@cython.cfunc
@cython.exceptval(check=False)
def attributes_end(
    data: cython.p_const_uchar, pos: cython.Py_ssize_t, size: cython.Py_ssize_t, limit: cython.Py_ssize_t
) -> cython.Py_ssize_t:
    """Where the ">" stands that ends a tag, doubled, plus 1 if "/" closes the tag itself; `pos` is behind its name.

    2 * size if the source ends first; -1 if there are more than `limit` attributes.
    """
    if not cython.compiled:
        return _attributes_end(data, pos, size, limit)
    count: cython.Py_ssize_t = 0
    closed: cython.Py_ssize_t
    while True:
        closed = 0
        while pos < size and (_is_space(data[pos]) or data[pos] == 47):
            closed = 1 if data[pos] == 47 else 0
            pos += 1
        if pos >= size:
            return 2 * size
        if data[pos] == 62:
            return 2 * pos + closed
        count += 1
        if count > limit:
            return -1
        pos += 1
        while pos < size and not (_is_space(data[pos]) or data[pos] == 47 or data[pos] == 62 or data[pos] == 61):
            pos += 1
        while pos < size and _is_space(data[pos]):
            pos += 1
        if pos < size and data[pos] == 61:
            pos += 1
            while pos < size and _is_space(data[pos]):
                pos += 1
            if pos < size and (data[pos] == 34 or data[pos] == 39):
                pos = find_byte(data, data[pos], pos + 1, size) + 1
            else:
                while pos < size and not (_is_space(data[pos]) or data[pos] == 62):
                    pos += 1


def _attributes_end(data: bytes, pos: int, size: int, limit: int) -> int:
    found = _ATTRIBUTES.match(data, pos, size)
    if found and (found.end() - pos > 2 * limit or (found.end() < size and data[found.end()] != 62)):
        end, count = pos, 0
        while attribute := _ONE_ATTRIBUTE.match(data, end, size):
            end, count = attribute.end(), count + 1
            if count > limit:
                return -1
        found = _ATTRIBUTES.match(data, end, size)
    assert found
    end = found.end()
    return 2 * end + (end < size and found.end(1) > found.start(1) and data[end - 1] == 47)


@cython.cfunc
@cython.exceptval(check=False)
def comment_end(data: cython.p_const_uchar, pos: cython.Py_ssize_t, size: cython.Py_ssize_t) -> cython.Py_ssize_t:
    """One past the comment of which "<!--" ends at `pos`; `size` if it has no end."""
    if pos < size and data[pos] == 62:  # <!-->
        return pos + 1
    if pos + 1 < size and data[pos] == 45 and data[pos + 1] == 62:  # <!--->
        return pos + 2
    if not cython.compiled:
        found = _COMMENT_END.search(data, pos, size)
        return found.end() if found else size
    at: cython.Py_ssize_t = pos
    while True:
        at = find_byte(data, 62, at, size)
        if at >= size:
            return size
        if at - 2 >= pos and data[at - 1] == 45 and data[at - 2] == 45:
            return at + 1
        if at - 3 >= pos and data[at - 1] == 33 and data[at - 2] == 45 and data[at - 3] == 45:
            return at + 1
        at += 1


@cython.cfunc
@cython.exceptval(check=False)
def _names(
    data: cython.p_const_uchar,
    pos: cython.Py_ssize_t,
    size: cython.Py_ssize_t,
    name: cython.p_const_uchar,
    length: cython.Py_ssize_t,
) -> cython.bint:
    """Whether a tag's name at `pos` is `name`, in any case. Compiled code only."""
    if pos + length >= size:
        return False
    i: cython.Py_ssize_t
    for i in range(length):
        if (data[pos + i] | 32) != (name[i] | 32):
            return False
    after: cython.uchar = data[pos + length]
    return _is_space(after) or after == 47 or after == 62


@cython.cfunc
@cython.exceptval(check=False)
def raw_end(
    data: cython.p_const_uchar,
    pos: cython.Py_ssize_t,
    size: cython.Py_ssize_t,
    name: cython.Py_ssize_t,
    name_stop: cython.Py_ssize_t,
) -> cython.Py_ssize_t:
    """Where the end tag begins of an element that holds text only; its name stands at name .. name_stop."""
    if not cython.compiled:
        word = data[name:name_stop].lower()
        pattern = _RAW_ENDS.get(word)
        if pattern is None:
            pattern = _RAW_ENDS[word] = re.compile(rb"</%b(?=[%b/>])" % (word, _SPACE), re.IGNORECASE)
        found = pattern.search(data, pos, size)
        return found.start() if found else size
    while True:
        pos = find_byte(data, 60, pos, size)
        if pos + 1 >= size:
            return size
        if data[pos + 1] == 47 and _names(data, pos + 2, size, data + name, name_stop - name):
            return pos
        pos += 1


@cython.cfunc
@cython.exceptval(check=False)
def script_end(data: cython.p_const_uchar, pos: cython.Py_ssize_t, size: cython.Py_ssize_t) -> cython.Py_ssize_t:
    """Where the end tag of a script begins: the first, but none that stands in <!-- ... <script ... --> (13.2.6.2)."""
    escaped: cython.bint = False
    nested: cython.bint = False
    if not cython.compiled:
        while found := _SCRIPT_EVENT.search(data, pos, size):
            pos = found.end()
            if found[0] == b"<!--":
                escaped, pos = True, pos - 2  # <!--> is whole
            elif found[0] == b"-->":
                escaped = nested = False
            elif not found[1]:
                nested = escaped
            elif nested:
                nested = False
            else:
                return found.start()
        return size
    while True:
        if not escaped:
            pos = find_byte(data, 60, pos, size)
        else:
            while pos < size and data[pos] != 60 and data[pos] != 45:
                pos += 1
        if pos + 2 >= size:
            return size
        if data[pos] == 45:
            if data[pos + 1] == 45 and data[pos + 2] == 62:
                escaped = nested = False
                pos += 2
        elif data[pos + 1] == 33:
            if not escaped and pos + 3 < size and data[pos + 2] == 45 and data[pos + 3] == 45:
                escaped = True
                pos += 1
        elif data[pos + 1] == 47:
            if _names(data, pos + 2, size, b"script", 6):
                if not nested:
                    return pos
                nested = False
        elif escaped and _names(data, pos + 1, size, b"script", 6):
            nested = True
        pos += 1


@cython.cfunc
@cython.exceptval(check=False)
def is_blank(data: cython.p_const_uchar, pos: cython.Py_ssize_t, size: cython.Py_ssize_t) -> cython.bint:
    """Whether nothing but white space stands in pos .. size."""
    if not cython.compiled:
        return _NOT_BLANK.search(data, pos, size) is None
    while pos < size and _is_space(data[pos]):
        pos += 1
    return pos >= size


if cython.compiled:
    # Names of up to 15 bytes as two numbers, in a table with open addressing.
    _LOW = cython.declare(cython.ulonglong[1024])
    _HIGH = cython.declare(cython.ulonglong[1024])
    _NUMBER = cython.declare(cython.short[1024])
    _MIX = cython.declare(cython.ulonglong, 0x1E3779B97F4A7C15)


@cython.cfunc
@cython.exceptval(check=False)
def tag_number(data: cython.p_const_uchar, pos: cython.Py_ssize_t, stop: cython.Py_ssize_t) -> cython.int:
    """The number of the name that stands in pos .. stop, in any case; 1 (OTHER) for an unknown one."""
    if not cython.compiled:
        return NUMBERS.get(data[pos:stop].lower(), 1)
    return _look_up(data, pos, stop, 0)


@cython.cfunc
@cython.exceptval(check=False)
def _look_up(
    data: cython.p_const_uchar, pos: cython.Py_ssize_t, stop: cython.Py_ssize_t, put: cython.short
) -> cython.int:
    """The number of a name, or puts it into the table if `put` is not 0. Compiled code only."""
    if stop - pos > 15:
        return 1
    low: cython.ulonglong = 0
    high: cython.ulonglong = 1  # so that every byte counts, zeros too
    i: cython.Py_ssize_t
    byte: cython.uchar
    for i in range(pos, stop):
        byte = data[i]
        if 65 <= byte <= 90:
            byte |= 32
        if i - pos < 8:
            low = (low << 8) | byte
        else:
            high = (high << 8) | byte
    slot: cython.ulonglong = ((low ^ (high * 31)) * _MIX) >> 54
    while _NUMBER[slot]:
        if _LOW[slot] == low and _HIGH[slot] == high:
            return _NUMBER[slot]
        slot = (slot + 1) & 1023
    if put:
        _LOW[slot], _HIGH[slot], _NUMBER[slot] = low, high, put
    return 1


def _fill() -> None:
    for name, number in NUMBERS.items():
        _look_up(name, 0, len(name), number)


if cython.compiled:
    _fill()
