# What of the imported constants is a C number or table in the compiled module, and what other modules may call.
from pipelines.extract.html.html_stack cimport Stack

cdef int[::1] FLAGS, START
cdef int BREAKS_OUT, FOREIGN, IMPLIED, INTEGRATION, IN_HEAD, LINKABLE, RAW, START_ANCHOR, START_BLOCK, START_BODY, \
    START_BUTTON, START_CAPTION, START_CELL, START_COLUMN, START_FOREIGN_ROOT, START_FORM, START_HEAD, \
    START_HEADING, START_HTML, START_IGNORED, START_IMAGE, START_LIST_ITEM, START_NO_BREAK, START_OPTION, \
    START_PLAIN_TEXT, START_ROW, START_RUBY, START_TABLE, START_TERM, TABLE_PART, VOID
cdef int A, BUTTON, COLGROUP, DD, DT, FONT, H1, H6, HEAD, HR, HTML, IMG, INPUT, KEYGEN, NOBR, OPTGROUP, OPTION, \
    OTHER, P, RP, RT, RTC, RUBY, SCRIPT, SELECT, TABLE, TBODY, TEMPLATE, TEXTAREA, TFOOT, THEAD, TR

cdef class Starts(Stack):
    cdef int body
    cdef bint form, headed, rooted, quirks

    cdef Py_ssize_t start_tag(self, const unsigned char* data, int number, Py_ssize_t name, Py_ssize_t stop, Py_ssize_t end, bint closed)
    cdef bint prepare(self, int rule, int number, Py_ssize_t stop, Py_ssize_t end)
    cdef bint start_document_part(self, int rule, Py_ssize_t start, Py_ssize_t stop)
    cdef void merge(self, int node, Py_ssize_t start, Py_ssize_t stop)
    cdef bint start_table_part(self, int rule)
    cdef int table_base(self)
    cdef bint start_in_select(self, int number)
    cdef Py_ssize_t raw_content(self, const unsigned char* data, int number, Py_ssize_t name, Py_ssize_t stop, Py_ssize_t end)
    cdef void insert_foreign(self, int number, Py_ssize_t name, Py_ssize_t stop, Py_ssize_t end, bint closed)
    cdef bint is_html_font(self, Py_ssize_t stop, Py_ssize_t end)
    cdef void leave_foreign(self)
    cdef bint close_paragraph(self)
    cdef void close_implied(self, bint but_rtc)
    cdef void end_formatting(self, int number)
