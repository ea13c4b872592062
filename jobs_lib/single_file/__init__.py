"""The program as one file: how it starts, unpacks itself and runs where it cannot."""
