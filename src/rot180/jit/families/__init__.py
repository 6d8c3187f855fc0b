"""Kernel families: one file for each loop nest, which stands in its docstring.

It promises: a frozen descriptor for each kernel, which can emit itself and knows nothing of the
program it is used in. Which kernel serves which operation does not belong here.
"""
