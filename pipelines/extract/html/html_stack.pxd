# The fields and methods of Stack that compiled modules reach without Python in between; html_stack.py says what they are.
cdef int[::1] FLAGS
cdef int FOREIGN, HARD, MARKER, NO_BLANKS, SCOPE, SKIPS_NEWLINE, SPECIAL, TABLE_PART, A, HEAD, HTML, TEXT, KNOWN, DEAD, AGAIN, MOST_SPLIT
cdef int TOO_DEEP, TOO_MANY_ELEMENTS

cdef class Stack:
    cdef public bytes source
    cdef public object merged
    cdef public dict names, linked
    cdef short[::1] tags
    cdef int[::1] parents, ends, starts, stops
    cdef int[::1] keys, nodes, bits, below, scopes, specials, hards, htmls, links
    cdef int[::1] opened
    cdef public int count, depth, elements, pending, fault
    cdef int max_elements, max_depth

    cdef void add_text(self, const unsigned char* data, Py_ssize_t start, Py_ssize_t stop)
    cdef void insert(self, int number, int key, Py_ssize_t start, Py_ssize_t stop, bint open_)
    cdef void pop_to(self, int position)
    cdef void resume_link(self)
    cdef void fold(self, int position)
    cdef void split(self, int position)
    cdef int key_of(self, Py_ssize_t start, Py_ssize_t stop, bint foreign, bint known)
    cdef int _add(self, int number, Py_ssize_t start, Py_ssize_t stop)
    cdef void _push(self, int node, int key)
    cdef void _pop(self)
