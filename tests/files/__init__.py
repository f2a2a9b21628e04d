"""Tests of files: in, out, and what a server may try with them."""
