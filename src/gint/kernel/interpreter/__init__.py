"""The interpreters, one folder per backend, and the portable C they share."""
