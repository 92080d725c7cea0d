"""Step 4, do it: arguments become one request, its answer becomes one result."""
