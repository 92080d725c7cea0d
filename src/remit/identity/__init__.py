"""1 · Who is calling: the subject, the agent runner that acts for them, and how sure that is."""
