"""The words in which kernels are written: vectors, loops and places, for any target.

It promises: one emitter for all targets (`target` holds the numbers in which they differ), layouts
that say where a cell stands, scalar functions without libm. A loop nest of an operation does not
belong here.
"""
