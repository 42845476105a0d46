"""Small files of every kind that is read, made by code, and what is right to say of them.

- `members`: how each file is made
- `mutations`: how files are broken
- `worker`: a process that judges broken files, with bounds on time and memory

`UNMASK_FUZZ_FILES=10000 pytest -m slow tests/corpus` breaks more files than CI does.
"""
