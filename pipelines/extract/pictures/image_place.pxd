# The fields of Places, and what of the imported constants is a C number in the compiled module.
cdef int A, FIGURE, BLOCK, FAR, _LEVELS_TO_FIGURE, _LEVELS_TO_NAME, _BAR_PIXELS
cdef int[::1] KINDS

cdef class Places:
    cdef object tree
    cdef short[::1] tags
    cdef int[::1] ends, parents, link_chars, kept, all
    cdef int icon_max_side, limit, size

    cdef str named(self, int node)
    cdef int kept_in(self, int node)
    cdef int shown_in(self, int node)
    cdef str outside(self, int node)
    cdef int figure(self, int node)
    cdef bint leads_away(self, int node)
    cdef int gap_before(self, int unit)
    cdef int gap_after(self, int end)
