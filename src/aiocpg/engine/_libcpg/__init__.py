"""C made Python: the shim (C and cffi), its build script, and the typed binding that the engine calls."""
