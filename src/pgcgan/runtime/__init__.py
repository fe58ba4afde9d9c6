"""What the library needs of the machine: files that are whole or absent, memory, and executors."""
