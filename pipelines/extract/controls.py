"""Two counts that tell a page from what is no text, over all of its bytes."""

import cython

if cython.compiled:
    from cython.cimports.libc.string import memchr

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
