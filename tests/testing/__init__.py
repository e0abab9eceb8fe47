"""The tests of `aiocpg.testing`, and what they share."""
