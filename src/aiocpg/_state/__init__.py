"""The rules of a membership, without I/O: views, the history of a group, own sends coming back, readers' inboxes."""
