"""The files of the field: reading with every check up front, and writing whole files or none.

Annotations and results in YouTube-VIS format, masks as run lengths, frames as images. Nothing here
imports another room.
"""
