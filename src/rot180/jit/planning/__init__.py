"""From a traced program to a plan: what is fused, which family serves it, where everything lies.

It promises: integers and descriptors only, made in milliseconds and printable. Machine code and
threads do not belong here.
"""
