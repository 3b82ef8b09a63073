# What of the imported constants is a C number in the compiled module.
cdef int BY_ARIA, BY_ATTRIBUTE, BY_STYLE, GROUPS, IN_NOSCRIPT, MEASURES, _LONGEST_NAME, _NOSCRIPT_SHARE, _LONGEST_LABEL
cdef int ARTICLE, BODY, BR, FORM, H1, HTML, IMG, META, NOSCRIPT, SCRIPT, TEXT, TITLE, A
cdef int BLOCK, SHOWN
cdef unsigned long long BITS
