# What compiled modules may call without Python in between; attribute_scan.py says what each does.
cdef int TEXT

cdef (int, int, int, int, int) next_attribute(const unsigned char* data, int at, int stop) noexcept
cdef bint has_href(const unsigned char* data, int start, int stop) noexcept
cdef bint is_space(int byte) noexcept
cdef bint is_at(const unsigned char* data, int at, int stop, const unsigned char* word, int size) noexcept
