"""Faults, done for real to real daemons: what a program that uses the library sees of them, and what it keeps."""
