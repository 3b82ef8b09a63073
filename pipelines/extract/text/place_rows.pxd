# What feature_rows.py uses of the writer of places; place_rows.py says what each method does.
from pipelines.extract.text.row_writer cimport RowWriter

cdef int COUNT, GROUPS, SIBLING_LINK_WORDS, SIBLING_PROSE, SIBLING_SUMS, SIBLING_WORDS
cdef int WITH_DATE, WITH_IMAGE, WITH_PRICE, H1, H6

cdef class PlaceWriter(RowWriter):
    cdef void place(self, int block, int node, int at) noexcept
    cdef void group(self, int node, int at) noexcept
    cdef void after_heading(self, int block, int node, int at) noexcept
