# The fields and methods of RowWriter; row_writer.py says what they are.
cdef int ALL_WORDS, SUMS

cdef class RowWriter:
    cdef short[:] tags
    cdef int[:] parents, ends, containers, firsts, texts, measures, hiders, links, next_blocks
    cdef int[:] sums, prose, words_before, link_words_before, prose_before, siblings, sibling_group, kin, kin0
    cdef int[:] kin1, kin2, copies, kinds, semantic, out, levels, headings
    cdef unsigned short[:] group_counts
    cdef unsigned long long[:] names
    cdef unsigned char[:] hidden
    cdef int count, words, title_words, h1, top, core, biggest, biggest_parent, heading
    cdef int last_prose

    cdef int common(self, int node, int other) noexcept
    cdef int share_of(self, int node) noexcept
    cdef int levels_to(self, int node, int above) noexcept

cdef int share(long long part, long long whole) noexcept
