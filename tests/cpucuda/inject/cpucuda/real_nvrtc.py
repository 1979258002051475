# ruff: noqa: 1, PTH123
"""Compile a file with the real NVRTC: library, file, and option=... and name=... after them."""

import ctypes
import os
import sys

library, file = sys.argv[1:3]
options = [a[7:].encode() for a in sys.argv[3:] if a.startswith("option=")]
headers = os.environ.get("CPUCUDA_NVRTC_INCLUDE")  # in the place of those that CuPy found
if headers:
    options = [b"-I" + headers.encode() if o.startswith(b"-I") and b"/nvidia/cu" in o else o for o in options]
names = [a[5:].encode() for a in sys.argv[3:] if a.startswith("name=")]
nvrtc = ctypes.CDLL(library)
program, size = ctypes.c_void_p(), ctypes.c_size_t()
with open(file, "rb") as source:
    assert nvrtc.nvrtcCreateProgram(ctypes.byref(program), source.read(), b"kernel.cu", 0, None, None) == 0
for name in names:
    nvrtc.nvrtcAddNameExpression(program, name)
code = nvrtc.nvrtcCompileProgram(program, len(options), (ctypes.c_char_p * len(options))(*options))
nvrtc.nvrtcGetProgramLogSize(program, ctypes.byref(size))
log = ctypes.create_string_buffer(size.value + 1)
nvrtc.nvrtcGetProgramLog(program, log)
sys.stdout.write(log.value.decode())
sys.exit(code)
