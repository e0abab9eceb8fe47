"""The group that people hold, and under it its life, its send side and its pump."""

from aiocpg._group._group import Group
from aiocpg._group._life import Life, WayBack

__all__ = ["Group", "Life", "WayBack"]
