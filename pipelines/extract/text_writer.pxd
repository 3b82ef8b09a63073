# The fields and methods of TextWriter; text_writer.py says what they are.
cdef class TextWriter:
    cdef list slots, run
    cdef str marker
    cdef public int one_line
    cdef int items, pending, written, cells
    cdef public bint odd
    cdef bint space, only_images

    cpdef void words(self, str raw)
    cpdef void preformatted(self, str raw)
    cpdef void line_break(self)
    cpdef void block_break(self, int newlines)
    cpdef void start_item(self, str marker)
    cpdef void end_item(self)
    cpdef void start_row(self)
    cpdef void start_cell(self, bint first)
    cpdef void image(self, object image)
    cdef void write(self, str text)
    cdef void break_if_due(self)
    cdef void end_run(self)
