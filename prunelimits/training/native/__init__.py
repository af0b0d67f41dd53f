"""The native engine's C++ sources and, once compiled, its library."""
