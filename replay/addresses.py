"""Where in a buffer a slice of it lies.

msgspec hands out slices (`msgspec.Raw`) that are views of the decoded buffer, and does not say where they begin. Their
addresses do (Python's buffer protocol, PEP 3118; `Py_buffer` is part of the stable ABI since 3.11). Only read, never
written through: what is found is an offset into a bytearray that is changed as any other.
"""

import ctypes
from typing import Any


class _Buffer(ctypes.Structure):
    _fields_ = (
        ("buf", ctypes.c_void_p),
        ("obj", ctypes.py_object),
        ("len", ctypes.c_ssize_t),
        ("itemsize", ctypes.c_ssize_t),
        ("readonly", ctypes.c_int),
        ("ndim", ctypes.c_int),
        ("format", ctypes.c_char_p),
        ("shape", ctypes.c_void_p),
        ("strides", ctypes.c_void_p),
        ("suboffsets", ctypes.c_void_p),
        ("internal", ctypes.c_void_p),
    )


_get = ctypes.pythonapi.PyObject_GetBuffer
_get.argtypes = (ctypes.py_object, ctypes.POINTER(_Buffer), ctypes.c_int)
_get.restype = ctypes.c_int
_release = ctypes.pythonapi.PyBuffer_Release
_release.argtypes = (ctypes.POINTER(_Buffer),)
_release.restype = None

_SIMPLE = 0  # PyBUF_SIMPLE


def address(buffer: Any) -> int:
    """The address of a buffer's first byte; valid while the buffer is alive and keeps its size. Raises BufferError."""
    view = _Buffer()
    _get(buffer, ctypes.byref(view), _SIMPLE)
    try:
        return view.buf or 0
    finally:
        _release(ctypes.byref(view))
