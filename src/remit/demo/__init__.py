"""A sample company: an orders API and a payments API as real HTTP servers, and the people and agents who use them."""
