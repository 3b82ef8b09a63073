"""What tells a page from what is no text, or no UTF-8, over all of its bytes."""

import cython

if cython.compiled:
    from cython.cimports.libc.string import memchr, memcpy

_CONTROLS = bytes(set(range(32)) - set(b"\t\n\f\r\x1b")) + b"\x7f"


def count_controls(source: bytes) -> int:
    """C0 controls (white space and the escape of ISO 2022 left out) and DEL."""
    if not cython.compiled:
        return len(source) - len(source.translate(None, delete=_CONTROLS))
    data: cython.p_const_uchar = source
    size: cython.Py_ssize_t = len(source)
    at: cython.Py_ssize_t = 0
    count: cython.Py_ssize_t = 0
    while at + 255 <= size:
        count += _in_block(data + at, 255)
        at += 255
    return count + _in_block(data + at, cython.cast(cython.int, size - at))


@cython.cfunc
@cython.exceptval(check=False)
def _in_block(data: cython.p_const_uchar, size: cython.int) -> cython.int:
    """Of at most 255 bytes: so the count fits a byte too. Sums of single comparisons are what compilers vectorize."""
    found: cython.uchar = 0
    at: cython.int
    for at in range(size):
        found += data[at] < 32
        found += data[at] == 127
        found -= data[at] == 9
        found -= data[at] == 10
        found -= data[at] == 12
        found -= data[at] == 13
        found -= data[at] == 27
    return found


def is_utf8(source: bytes) -> bool:
    """Whether the bytes are UTF-8 throughout (Unicode, table 3-7)."""
    if not cython.compiled:
        return source.isascii() or source.decode("utf-8", "ignore").encode() == source
    data: cython.p_const_uchar = source
    size: cython.Py_ssize_t = len(source)
    at: cython.Py_ssize_t = 0
    word: cython.ulonglong = 0
    beyond_ascii: cython.ulonglong = 0x8080808080808080
    length: cython.int
    while at < size:
        if data[at] < 0x80:
            at += 1
            while at + 8 <= size:
                memcpy(cython.address(word), data + at, 8)
                if word & beyond_ascii:
                    break
                at += 8
            continue
        length = _sequence(data + at, size - at)
        if length == 0:
            return False
        at += length
    return True


@cython.cfunc
@cython.inline
@cython.exceptval(check=False)
def _sequence(data: cython.p_const_uchar, size: cython.Py_ssize_t) -> cython.int:
    """Bytes of the character beyond ASCII that begins there; 0 if none does."""
    first: cython.int = data[0]
    low: cython.int = 0x80  # of the second byte
    high: cython.int = 0xBF
    length: cython.int = (
        2 if 0xC2 <= first <= 0xDF else 3 if 0xE0 <= first <= 0xEF else 4 if 0xF0 <= first <= 0xF4 else 0
    )
    at: cython.int
    if length == 0 or length > size:
        return 0
    if first == 0xE0:
        low = 0xA0
    elif first == 0xED:  # halves of surrogate pairs
        high = 0x9F
    elif first == 0xF0:
        low = 0x90
    elif first == 0xF4:
        high = 0x8F
    if not low <= data[1] <= high:
        return 0
    for at in range(2, length):
        if data[at] & 0xC0 != 0x80:
            return 0
    return length


def count_lost(source: bytes) -> int:
    """Replacement characters in UTF-8."""
    if not cython.compiled:
        return source.count(b"\xef\xbf\xbd")
    data: cython.p_const_uchar = source
    end: cython.p_const_uchar = data + len(source)
    count: cython.Py_ssize_t = 0
    while data + 2 < end:
        data = cython.cast(cython.p_const_uchar, memchr(data, 0xEF, end - data - 2))
        if data == cython.NULL:
            break
        count += data[1] == 0xBF and data[2] == 0xBD
        data += 1
    return count
