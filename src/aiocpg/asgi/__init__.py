"""
Groups in an ASGI application: joined at its start, left at its end. For Starlette and FastAPI, and for none of them.

No framework is imported. What is shared with handlers lies in the scope's ``state``, where the lifespan protocol has
it.
"""

from aiocpg.asgi._handlers import connection_of, group_of, liveness, readiness
from aiocpg.asgi._lifespan import group_lifespan, with_lifespan

__all__ = ["connection_of", "group_lifespan", "group_of", "liveness", "readiness", "with_lifespan"]
