"""LLM operations on NumPy arrays, on a backend the user picks: see cpp_ext/BACKEND_GUIDE.md."""
