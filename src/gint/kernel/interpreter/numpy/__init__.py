"""The NumPy interpreter: slow, obvious, and the definition of what programs mean."""
