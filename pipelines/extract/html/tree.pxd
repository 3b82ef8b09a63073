# What of the imported constants is a C number in the compiled module.
cdef int A, BUTTON, DT, H1, H6, NOSCRIPT, OTHER, P, PRE, SUMMARY, TEXT
cdef int BLOCK, SHOWN, SILENT, UNSHOWN
