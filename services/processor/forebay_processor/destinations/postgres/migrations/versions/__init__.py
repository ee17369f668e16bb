"""One module a version, in order; one that was released is never changed."""
