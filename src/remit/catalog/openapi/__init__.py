"""API descriptions (OpenAPI 2.0, 3.0, 3.1, 3.2): read tolerantly, by position, from local files only."""
