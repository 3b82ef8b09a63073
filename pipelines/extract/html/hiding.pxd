# What compiled modules may call without Python in between; hiding.py says what it does.
cdef int BODY, HTML

cdef bint may_hide(const unsigned char* data, int start, int stop) noexcept
