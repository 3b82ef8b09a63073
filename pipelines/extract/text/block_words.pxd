# What text_blocks.py uses of the counter; block_words.py says what each does.
from pipelines.extract.text.markup_words cimport Reader

cdef int BOLD_WORDS, BREAKS, CAPITALIZED, CHARS, COMMAS, CURRENCY, DATA_TRIPLES, DIGITS, END
cdef int FIRST, GROUPS, LINK_CHARS, LINK_WORDS, LINKS, MEASURES, RUNS, SENTENCES
cdef int SUMMARY_PAIRS, SYMBOLS, TITLE_WORDS, UPPER, WORDS
cdef int STRONG, B, BLOCK

cdef class BlockWords(Reader):
    cdef short[:] tags
    cdef int[:] parents, starts, stops, kinds, links, measures
    cdef unsigned short[:] group_counts
    cdef unsigned long long[:] hashes
    cdef int count, breaks, last_link
    cdef void read_text(self, int node, int above) noexcept
    cdef void count_word(self, int block, unsigned long long word, unsigned long long last, unsigned long long last_but_one) noexcept
