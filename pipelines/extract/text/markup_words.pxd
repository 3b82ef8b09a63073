# What text_blocks.py uses of the reader; markup_words.py says what each does.
cdef int OTHER, SPACE, LETTER, CAPITAL, DIGIT, HIGH, SLOTS
cdef unsigned long long WORD_START, BITS
cdef unsigned char[:] CLASSES
cdef unsigned long long[:] NAME_KEYS, NAME_MASKS, TEXT_KEYS, TEXT_MASKS, KIND_KEYS, KIND_MASKS

cdef class Reader:
    cdef bytes source
    cdef const unsigned char* data
    cdef unsigned char[:] title_bag, summary_bag, data_bag
    cdef int title_words
    cdef unsigned long long data_kinds, meta_kinds
    cdef int name_start, name_stop, value_start, value_stop
    cdef int next_attribute(self, int at, int stop) noexcept
    cdef bint same(self, int start, int stop, const unsigned char* word, int size) noexcept
    cdef bint named(self, const unsigned char* name, int size) noexcept
    cdef bint valued(self, const unsigned char* value, int size) noexcept
    cdef bint hides(self) noexcept
    cdef bint is_blank(self, int start, int stop) noexcept
    cdef unsigned long long hash(self, int start, int stop) noexcept
    cdef unsigned long long name_groups(self, int start, int stop) noexcept
    cdef unsigned long long kind_groups(self, int start, int stop) noexcept
    cdef unsigned long long groups(self, int start, int stop, bint of_names) noexcept
    cdef unsigned long long name_group(self, unsigned long long word) noexcept
    cdef unsigned long long kind_group(self, unsigned long long word) noexcept
    cdef unsigned long long text_group(self, unsigned long long word) noexcept
    cdef int fill(self, int start, int stop, unsigned char[:] bag, int most) noexcept
    cdef int holds(self, unsigned char[:] bag, unsigned long long key) noexcept
    cdef unsigned long long types(self, int start, int stop) noexcept
    cdef void read_meta(self, int at, int end) noexcept
    cdef void read_script(self, int at, int end, int start, int stop) noexcept
