# What of the imported constants is a C number in the compiled module.
cdef int A, BODY, BUTTON, DT, H1, H6, HTML, NOSCRIPT, OTHER, P, PRE, SUMMARY, TEXT
cdef int BLOCK, HIDDEN, SHOWN, SILENT, UNSHOWN
