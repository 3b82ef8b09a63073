# What of the constants is a C number in the compiled module.
cdef int LEAST, DEPTH, _INNER, _LEAVES, _PROBE, _HOPELESS
