"""What would have to be otherwise for a denied call to be permitted."""
