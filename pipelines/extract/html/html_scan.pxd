# What compiled modules may call without Python in between; html_scan.py says what each does.
cdef Py_ssize_t find_byte(const unsigned char* data, int byte, Py_ssize_t pos, Py_ssize_t size) noexcept
cdef Py_ssize_t find_markup(const unsigned char* data, Py_ssize_t pos, Py_ssize_t size) noexcept
cdef Py_ssize_t name_end(const unsigned char* data, Py_ssize_t pos, Py_ssize_t size) noexcept
cdef Py_ssize_t attributes_end(const unsigned char* data, Py_ssize_t pos, Py_ssize_t size, Py_ssize_t limit) noexcept
cdef Py_ssize_t comment_end(const unsigned char* data, Py_ssize_t pos, Py_ssize_t size) noexcept
cdef Py_ssize_t raw_end(const unsigned char* data, Py_ssize_t pos, Py_ssize_t size, Py_ssize_t name, Py_ssize_t name_stop) noexcept
cdef Py_ssize_t script_end(const unsigned char* data, Py_ssize_t pos, Py_ssize_t size) noexcept
cdef bint is_blank(const unsigned char* data, Py_ssize_t pos, Py_ssize_t size) noexcept
cdef int tag_number(const unsigned char* data, Py_ssize_t pos, Py_ssize_t stop) noexcept
