# The fields and methods of TextWriter; text_writer.py says what they are.
cdef class TextWriter:
    cdef list slots
    cdef bytearray run
    cdef str marker
    cdef public int one_line
    cdef int size, items, pending, written, cells
    cdef bint space, only_images

    cpdef void words(self, str raw)
    cpdef void plain_words(self, bytes source, int start, int stop)
    cpdef void preformatted(self, str raw)
    cpdef void line_break(self)
    cpdef void block_break(self, int newlines)
    cpdef void start_item(self, str marker)
    cpdef void end_item(self)
    cpdef void start_row(self)
    cpdef void start_cell(self, bint first)
    cpdef void image(self, object image)
    cdef void write(self, str text)
    cdef void separate(self)
    cdef void break_if_due(self)
    cdef void put(self, bytes text)
    cdef void reserve(self, int size)
    cdef void end_run(self)
