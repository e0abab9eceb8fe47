"""C programs and aiocpg in one group: the C member, what it sends, and the check that all saw one history."""
