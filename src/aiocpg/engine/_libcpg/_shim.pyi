from typing import Any

# Made by cffi when the package is built; Any stops in this directory.
ffi: Any
lib: Any
